internal import HTTPCodec
internal import Upstream

/// Which responses are worth another attempt: a view, which nobody counts.
struct RetryTable: BitwiseCopyable {
  struct Policy: BitwiseCopyable {
    var rule: RetryRule
    var firstHeader: Int32
    var headerCount: Int32
  }

  /// A field by which a response asks for another attempt.
  struct Header: BitwiseCopyable {
    var name: Int32
    var nameLength: Int32
    var value: Int32
    /// Negative where any value will do.
    var valueLength: Int32
  }

  let policies: UnsafeMutablePointer<Policy>
  let headers: UnsafeMutablePointer<Header>
  let memory: UnsafeMutablePointer<UInt8>

  subscript(_ index: Int32) -> UnsafePointer<Policy> { UnsafePointer(policies + Int(index)) }

  /// Why a response is worth another attempt, `nil` where it is not.
  func cause(of view: ResponseView, _ policy: UnsafePointer<Policy>) -> RetryCause? {
    if policy.pointee.rule.takes(status: Int(view.head.status)) { return .status }
    if policy.pointee.rule.namesCalls, policy.pointee.rule.takes(call: view.callStatus) {
      return .call
    }
    for index in 0..<Int(policy.pointee.headerCount)
    where has(headers[Int(policy.pointee.firstHeader) + index], view) {
      return .header
    }
    return nil
  }

  private func has(_ header: Header, _ view: ResponseView) -> Bool {
    for index in 0..<Int(view.head.fieldCount)
    where Int(view.fields[index].nameLength) == Int(header.nameLength) {
      let field = view.fields[index]
      guard
        FieldName.equals(
          view.bytes + Int(field.nameStart),
          memory + Int(header.name),
          Int(header.nameLength)
        )
      else { continue }
      guard header.valueLength >= 0 else { return true }
      guard Int(field.valueLength) == Int(header.valueLength) else { continue }
      let value = view.bytes + Int(field.valueStart)
      let wanted = memory + Int(header.value)
      if (0..<Int(header.valueLength)).allSatisfy({ value[$0] == wanted[$0] }) { return true }
    }
    return false
  }
}
