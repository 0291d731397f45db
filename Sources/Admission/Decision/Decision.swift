/// What admission decided about a request.
public enum Decision: ~Copyable {
  /// Send it now.
  case dispatched(Permit)
  /// Keep it; `WorkerAdmission.next` says what becomes of it.
  case queued(Ticket)
  /// Answer it now.
  case refused(Refusal)
}

/// What became of a request that was queued.
public enum QueueEvent: ~Copyable {
  /// Nothing more for now.
  case none
  /// Send the request of this handle.
  case dispatched(handle: UInt64, Permit)
  /// Answer the request of this handle.
  case refused(handle: UInt64, Refusal)
}
