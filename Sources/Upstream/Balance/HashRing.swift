/// Which endpoint a key belongs to: when one joins or leaves, few keys change theirs.
///
/// Source: Karger et al., "Consistent Hashing and Random Trees", STOC 1997.
struct HashRing: BitwiseCopyable {
  struct Point: BitwiseCopyable {
    var hash: UInt64
    /// Offset in the tier.
    var endpoint: Int32
  }

  let points: UnsafePointer<Point>
  let count: Int

  /// Points of an endpoint of the greatest weight, and of all together at most.
  static let pointsEach = 160
  static let mostPoints = 65_536

  /// The first point at or behind a key, 0 where the ring begins anew.
  func start(of key: UInt64) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if points[middle].hash < key { low = middle + 1 } else { high = middle }
    }
    return low == count ? 0 : low
  }

  /// Owns the points of a ring.
  final class Memory {
    let ring: HashRing
    private let points: UnsafeMutablePointer<Point>

    init(_ endpoints: [ChoiceEndpoint]) {
      let heaviest = Double(endpoints.map(\.weight).max() ?? 1)
      let each = Double(max(1, min(pointsEach, mostPoints / max(1, endpoints.count))))
      var all: [Point] = []
      for (offset, endpoint) in endpoints.enumerated() {
        let share = Double(max(1, endpoint.weight)) / max(1, heaviest)
        var hash = KeyHash()
        hash.add(endpoint.name.utf8)
        var state = hash.value
        for _ in 0..<max(1, Int((each * share).rounded())) {
          state = KeyHash.mix(state &+ 0x9E37_79B9_7F4A_7C15)
          all.append(Point(hash: state, endpoint: Int32(offset)))
        }
      }
      all.sort { ($0.hash, $0.endpoint) < ($1.hash, $1.endpoint) }
      points = .allocate(capacity: max(1, all.count))
      points.initialize(from: all, count: all.count)
      ring = HashRing(points: UnsafePointer(points), count: all.count)
    }

    deinit { points.deallocate() }
  }
}

/// A hash of a key; a client may choose what it collides with, which is what the bound on load is
/// for.
///
/// Source: FNV-1a, with the finaliser of SplitMix64.
public struct KeyHash: BitwiseCopyable, Sendable {
  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  public init() {}

  public mutating func add(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }

  public mutating func add(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
    for index in 0..<count { state = (state ^ UInt64(bytes[index])) &* 0x100_0000_01B3 }
  }

  public mutating func add(_ word: UInt64) { state = (state ^ word) &* 0x100_0000_01B3 }

  /// Never 0, which stands for no key.
  public var value: UInt64 { max(1, Self.mix(state)) }

  static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z &>> 31)
  }
}
