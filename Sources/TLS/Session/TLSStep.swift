/// What a call on a session came to.
public enum TLSStep: Equatable, Sendable {
  /// All input is used up and more must come.
  case needsInput
  /// The room for output is used up; call again with more of it.
  case needsOutput
  /// The handshake is over.
  case established
  /// So many bytes of plaintext were read, or taken for writing; at least one, unless none was
  /// given.
  case plaintext(Int)
  /// Reading: the peer said that it sends no more. Ending: our own close_notify is written.
  case closed
  /// The session is of no use any more; the same fault from now on.
  case fault(TLSFault)
}
