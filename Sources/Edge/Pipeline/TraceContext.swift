internal import HTTPCodec

extension RequestView {
  /// The trace that the caller says its request is part of; none where no field, or more than one,
  /// says so.
  var callersTrace: TraceID {
    var found = -1
    for index in 0..<Int(head.fieldCount) where fields[index].known == .traceparent {
      guard found < 0 else { return .none }
      found = index
    }
    guard found >= 0 else { return .none }
    return TraceParent.traceID(
      bytes + Int(fields[found].valueStart),
      Int(fields[found].valueLength)
    )
  }
}
