internal import Configuration
internal import HTTPCodec
internal import Upstream

/// What routes have repeated; owns what `RetryTable` looks at.
final class RetryPolicies: @unchecked Sendable {
  // Immutable after init, which is what makes it sendable.
  private let policies: UnsafeMutablePointer<RetryTable.Policy>
  private let headers: UnsafeMutablePointer<RetryTable.Header>
  private let memory: UnsafeMutablePointer<UInt8>
  /// The same as the request path sees it; valid as long as this is.
  let table: RetryTable

  init(_ settings: [RetrySetting]) {
    var bytes: [UInt8] = []
    var headers: [RetryTable.Header] = []
    func put(_ text: String) -> (start: Int32, count: Int32) {
      defer { bytes += Array(text.utf8) }
      return (Int32(bytes.count), Int32(text.utf8.count))
    }
    let policies = settings.map { setting in
      let first = headers.count
      for case .header(let name, let value) in setting.conditions {
        let name = put(name)
        let value = value.map(put) ?? (0, -1)
        headers.append(
          RetryTable.Header(
            name: name.start,
            nameLength: name.count,
            value: value.0,
            valueLength: value.1
          )
        )
      }
      return RetryTable.Policy(
        rule: RetryRule(setting),
        firstHeader: Int32(first),
        headerCount: Int32(headers.count - first)
      )
    }
    self.policies = .allocate(capacity: max(1, policies.count))
    self.policies.initialize(from: policies, count: policies.count)
    self.headers = .allocate(capacity: max(1, headers.count))
    self.headers.initialize(from: headers, count: headers.count)
    memory = .allocate(capacity: max(1, bytes.count))
    memory.initialize(from: bytes, count: bytes.count)
    table = RetryTable(policies: self.policies, headers: self.headers, memory: memory)
  }

  deinit {
    policies.deallocate()
    headers.deallocate()
    memory.deallocate()
  }
}

extension RetryRule {
  /// The rule that an operator's words come to; fields are for `RetryTable`.
  init(_ setting: RetrySetting) {
    self.init(retries: setting.retries)
    for condition in setting.conditions {
      switch condition {
      case .connectFailure: take(.connectFailure)
      case .reset:
        take(.reset)
        // A service that does not answer has not answered, as with Envoy.
        take(.timeout)
      case .refusedStream: take(.refusedStream)
      case .serverError: for status in 500...599 { take(status: status) }
      case .gatewayError: for status in 502...504 { take(status: status) }
      case .status(let status): take(status: status)
      case .call(let status): take(call: status.code)
      case .header: break
      }
    }
  }
}

extension ResponseView {
  /// The status of a call of gRPC that came with the head, as in answers of trailers only; -1 where
  /// it is none, or is to come with trailers.
  var callStatus: Int {
    guard MediaType.isGRPC(bytes, fields, Int(head.fieldCount)) else { return -1 }
    for index in 0..<Int(head.fieldCount) where fields[index].nameLength == 11 {
      let field = fields[index]
      guard FieldName.matches(bytes + Int(field.nameStart), 11, "grpc-status") else { continue }
      let value = DemandField.number(bytes + Int(field.valueStart), Int(field.valueLength))
      return Int(value ?? -1)
    }
    return -1
  }
}
