internal import Glibc
public import Units

/// Draws from the distributions that arrivals and service times follow.
extension SplitMix64 {
  /// Uniform in `0..<1`, with 53 bits.
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Exponential with mean 1; never infinite.
  public mutating func exponential() -> Double { -log(1 - uniform()) }

  /// Normal with mean 0 and deviation 1 (Box and Muller, 1958).
  public mutating func normal() -> Double {
    let radius = (2 * exponential()).squareRoot()
    return radius * cos(2 * Double.pi * uniform())
  }

  /// True with the given probability.
  public mutating func chance(_ share: Double) -> Bool { share > 0 && uniform() < share }
}
