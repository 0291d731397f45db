internal import Glibc

/// The generator of a simulated world: every draw is a function of the seed.
///
/// Source: Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators" (xoshiro256**),
/// 2018; the state is filled by SplitMix64.
struct Generator {
  private var a: UInt64, b: UInt64, c: UInt64, d: UInt64

  init(seed: UInt64) {
    var state = seed
    func fill() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z &>> 31)
    }
    a = fill()
    b = fill()
    c = fill()
    d = fill()
  }

  mutating func next() -> UInt64 {
    func rotate(_ x: UInt64, _ k: UInt64) -> UInt64 { x << k | x >> (64 - k) }
    let result = rotate(b &* 5, 7) &* 9
    let t = b << 17
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = rotate(d, 45)
    return result
  }

  /// Uniform in `0..<1`.
  mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  mutating func exponential(mean: Double) -> Double { -mean * log(1 - uniform()) }

  mutating func normal() -> Double {
    let radius = (-2 * log(1 - uniform())).squareRoot()
    return radius * cos(2 * Double.pi * uniform())
  }

  mutating func lognormal(mean: Double, variation: Double) -> Double {
    let variance = log(1 + variation * variation)
    return mean * exp(variance.squareRoot() * normal() - variance / 2)
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(bound, 1))) }
}
