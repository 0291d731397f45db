internal import HTTPCodec
internal import Units

/// What a response says about when its request may be sent again.
enum RetryDelay: Equatable {
  case unsaid
  /// Not before so long: Retry-After (RFC 9110 section 10.2.3).
  case atLeast(Nanoseconds)
  /// After so long: gRPC's pushback.
  case exactly(Nanoseconds)
  /// Not at all.
  case never

  /// Reads the fields of a response.
  ///
  /// A pushback that is negative or no number means never (gRFC A6, "Pushback"), and so do Envoy's
  /// marks of a response that another tier has made up to shed load. A Retry-After that cannot be
  /// read says nothing.
  ///
  /// - Parameters:
  ///   - view: The response.
  ///   - wallClock: Nanoseconds since 1970, for a Retry-After that is a date.
  init(_ view: ResponseView, wallClock: Int64) {
    self = .unsaid
    for index in 0..<Int(view.head.fieldCount) {
      let field = view.fields[index]
      let name = view.bytes + Int(field.nameStart)
      let value = view.bytes + Int(field.valueStart)
      let count = Int(field.valueLength)
      switch field.known {
      case .retryAfter:
        guard self == .unsaid, let wait = RetryAfter.read(value, count, wallClock: wallClock) else {
          break
        }
        self = .atLeast(wait)
      case .other:
        switch Int(field.nameLength) {
        case 18 where FieldName.matches(name, 18, "x-envoy-overloaded"),
          19 where FieldName.matches(name, 19, "x-envoy-ratelimited"):
          self = .never
          return
        case 22 where FieldName.matches(name, 22, "grpc-retry-pushback-ms"):
          guard let wait = DemandField.number(value, count) else {
            self = .never
            return
          }
          self = .exactly(.milliseconds(wait))
        default: break
        }
      default: break
      }
    }
  }
}
