/// What clients read that were refused to spare a service, or the edge itself.
extension ReplyReason {
  /// The wording of a refusal by admission; the tokens are those of `RefusalReason.name`.
  var shedWording: Wording {
    switch self {
    case .shedClass:
      shed("shed-class", "Its class waits", "Requests of higher classes take all of the capacity.")
    case .shedDeadline:
      shed("shed-deadline", "Too late", "The request could not be answered before its deadline.")
    case .shedEvicted:
      shed("shed-evicted", "Gave way", "The request gave its place to one that counts for more.")
    case .shedQueueTimeout:
      shed("shed-queue-timeout", "Waited too long", "The request waited as long as its class may.")
    case .shedEdgeOverload:
      shed("shed-edge-overload", "The edge is overloaded", "The edge has no capacity left.")
    case .shedOpenStreams:
      shed("shed-open-streams", "Too many streams", "The service has as many streams as it may.")
    default:
      shed("shed-queue-full", "The queue is full", "The service has as much to do as it can.")
    }
  }

  private func shed(
    _ token: StaticString,
    _ title: StaticString,
    _ detail: StaticString
  ) -> Wording {
    Wording(
      status: 503,
      token: token,
      title: title,
      detail: detail,
      // Of the types of RFC 9209 the one for what the intermediary itself will not do.
      proxyError: "http_request_denied"
    )
  }
}
