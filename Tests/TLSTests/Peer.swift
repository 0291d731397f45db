import TLS

/// A session with the bytes on their way to it, and what it has read.
final class Peer {
  let session: TLSSession
  /// Ciphertext that has arrived.
  var inbox: [UInt8] {
    get { Array(arrived[start...]) }
    set {
      arrived = newValue
      start = 0
    }
  }
  private var arrived: [UInt8] = []
  private var start = 0
  private let room = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 16_384)
  /// Plaintext that was read.
  var received: [UInt8] = []
  /// Plaintext that waits to be written.
  var outgoing: [UInt8] = []
  /// What the last call came to.
  var last = TLSStep.needsInput
  /// All ciphertext it sent.
  var sent: [UInt8] = []

  /// Most bytes of input and of output room that a call gets.
  var inputPiece = Int.max
  var outputRoom = 16_384
  var plaintextRoom = 16_384

  deinit { room.deallocate() }

  init(_ session: TLSSession?) {
    guard let session else { fatalError("out of memory") }
    self.session = session
  }

  /// One call with a window over the inbox; what it writes goes to the other's inbox.
  @discardableResult
  func call(_ other: Peer?, _ body: (inout CiphertextWindow) -> TLSStep) -> TLSStep {
    let count = min(arrived.count - start, inputPiece)
    // A record of data needs some room; all else makes do with a byte at a time.
    let least = session.isOpen ? 64 : 1
    let (step, consumed, produced) = arrived.withUnsafeBufferPointer { input in
      var window = CiphertextWindow(
        input: input.baseAddress.map { $0 + start },
        inputCount: count,
        output: room.baseAddress,
        outputRoom: min(max(least, outputRoom), room.count)
      )
      let step = body(&window)
      return (step, window.consumed, window.produced)
    }
    start += consumed
    sent += room[..<produced]
    other?.arrived += room[..<produced]
    last = step
    return step
  }

  @discardableResult
  func handshake(_ other: Peer?) -> TLSStep { call(other) { session.handshake(&$0) } }

  @discardableResult
  func read(_ other: Peer?) -> TLSStep {
    var plaintext = [UInt8](repeating: 0, count: plaintextRoom)
    let step = call(other) { window in
      plaintext.withUnsafeMutableBufferPointer { room in
        guard let start = room.baseAddress else { return .needsOutput }
        return session.read(into: start, capacity: room.count, &window)
      }
    }
    if case .plaintext(let count) = step { received += plaintext[..<count] }
    return step
  }

  /// Writes from `outgoing`.
  @discardableResult
  func write(_ other: Peer?) -> TLSStep {
    let bytes = outgoing
    let step = call(other) { window in
      bytes.withUnsafeBufferPointer { bytes in
        guard let start = bytes.baseAddress else { return .plaintext(0) }
        return session.write(start, count: bytes.count, &window)
      }
    }
    if case .plaintext(let count) = step { outgoing.removeFirst(count) }
    return step
  }

  @discardableResult
  func end(_ other: Peer?) -> TLSStep { call(other) { session.end(&$0) } }

  /// Grows whenever anything happens.
  private var progress: Int { start + sent.count + received.count }

  /// Reads and writes until neither side gets any further.
  static func exchange(_ a: Peer, _ b: Peer) {
    var idle = 0
    while idle < 4 {
      for (one, other) in [(a, b), (b, a)] {
        let before = one.progress + other.progress
        one.read(other)
        if !one.outgoing.isEmpty, one.session.isOpen { one.write(other) }
        idle = before == one.progress + other.progress ? idle + 1 : 0
      }
    }
  }

  /// Shakes hands until neither side gets any further; reads what comes behind, such as tickets.
  static func connect(_ a: Peer, _ b: Peer) {
    exchange(a, b)
  }
}
