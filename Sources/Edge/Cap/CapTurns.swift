internal import Glibc
internal import Units

/// The services whose lines a worker has to look at, and the endpoints that it found full.
struct CapTurns: ~Copyable {
  /// Lines are looked at this often though nothing was heard: another worker may be stuck.
  static let tick = Nanoseconds.milliseconds(10)

  /// Requests that are passed over at most in search of one that may go elsewhere.
  static let mostLooks = 256

  private let isTouched: UnsafeMutablePointer<Bool>
  private var touched: [Int32] = []
  /// Those that are being looked at.
  private(set) var serving: [Int32] = []
  /// Endpoints that have as many requests or connections as they may, in this turn.
  var full: [Int32] = []
  /// Services with somebody in line here.
  var lines: Set<Int32> = []
  var nextTick = Instant(.min)

  init() {
    isTouched = zeroedMemory(Bool.self, ServiceDirectory.capacity)
  }

  deinit { free(isTouched) }

  var isEmpty: Bool { touched.isEmpty }

  mutating func touch(_ service: Int32) {
    guard !isTouched[Int(service)] else { return }
    isTouched[Int(service)] = true
    touched.append(service)
  }

  /// Takes what was touched so far; what is touched meanwhile is for the next turn.
  mutating func begin() {
    serving.removeAll(keepingCapacity: true)
    swap(&serving, &touched)
    for service in serving { isTouched[Int(service)] = false }
  }
}
