/// Received ciphertext and room for ciphertext to send, lent to a session for one call.
///
/// The pointers are used during the call only. Afterwards `consumed` bytes of the input are used
/// up for good and `produced` bytes of the output must be sent, in order and whatever the call
/// returned: after a fault they hold the alert that tells the peer why.
@frozen
public struct CiphertextWindow {
  @usableFromInline let input: UnsafePointer<UInt8>?
  @usableFromInline let inputCount: Int
  @usableFromInline let output: UnsafeMutablePointer<UInt8>?
  @usableFromInline let outputRoom: Int
  /// Bytes of the input that were used up.
  public internal(set) var consumed = 0
  /// Bytes of the output that were written.
  public internal(set) var produced = 0

  /// - Parameters:
  ///   - input: What came from the peer and was not consumed yet; `nil` for nothing.
  ///   - inputCount: Its bytes.
  ///   - output: Where ciphertext goes; `nil` for nowhere.
  ///   - outputRoom: Bytes there; a record and its alert fit 16 KiB.
  @inlinable
  public init(
    input: UnsafePointer<UInt8>?,
    inputCount: Int,
    output: UnsafeMutablePointer<UInt8>?,
    outputRoom: Int
  ) {
    precondition(inputCount >= 0 && outputRoom >= 0, "a window of negative size")
    self.input = input
    self.inputCount = input == nil ? 0 : inputCount
    self.output = output
    self.outputRoom = output == nil ? 0 : outputRoom
  }

  /// Bytes of the input that are left.
  @inlinable public var unread: Int { inputCount - consumed }

  /// Room that is left for output.
  @inlinable public var room: Int { outputRoom - produced }
}
