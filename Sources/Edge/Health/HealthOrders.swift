internal import Logging
internal import Units
internal import Upstream

/// Orders of an operator on the admin address: a breaker forced open or closed, an endpoint drained.
///
/// They hold until they are taken back or the process ends, across reloads, and each is logged.
struct HealthOrders: Sendable {
  let report: HealthReport
  let logger: Logger?
  /// Gives workers the configuration anew: a service without a policy has no eye for drained
  /// endpoints, and gets one.
  let republish: @Sendable () -> Bool

  func register(in endpoints: AdminEndpoints) {
    endpoints.register(
      "POST",
      "/admin/services/breaker",
      summary: "?service=NAME[&endpoint=ADDRESS]&order=open|closed|auto forces a breaker"
    ) { answer($0, breaker) }
    endpoints.register(
      "POST",
      "/admin/services/endpoint",
      summary: "?service=NAME&endpoint=ADDRESS&order=drain|serve keeps requests from an endpoint"
    ) { answer($0, drain) }
  }

  private func answer(
    _ request: AdminRequest,
    _ perform: ([String: String]) -> AdminReply
  ) -> AdminReply {
    // A page in an operator's browser may send a POST to any address.
    guard request.fields["origin"] == nil, request.fields["sec-fetch-site"] == nil else {
      return .text("requests of web pages are refused\n", status: 403)
    }
    guard let parameters = Self.parameters(request.query) else {
      return .text("the query is malformed, or a name is given twice\n", status: 400)
    }
    return perform(parameters)
  }

  private func breaker(_ parameters: [String: String]) -> AdminReply {
    let orders: [String: BreakerOrder] = ["open": .open, "closed": .closed, "auto": .none]
    guard Set(parameters.keys).isSubset(of: ["service", "endpoint", "order"]),
      let service = parameters["service"], let order = parameters["order"].flatMap({ orders[$0] })
    else {
      return .text("needs service=NAME and order=open, closed or auto\n", status: 400)
    }
    let endpoint = parameters["endpoint"]
    do throws(HealthReport.OrderFault) {
      try report.order(order, service: service, endpoint: endpoint)
    } catch {
      return Self.reply(error)
    }
    log("breaker ordered", service, endpoint, parameters["order"])
    return .text("done\n")
  }

  private func drain(_ parameters: [String: String]) -> AdminReply {
    guard Set(parameters.keys) == ["service", "endpoint", "order"],
      let service = parameters["service"], let endpoint = parameters["endpoint"],
      let order = parameters["order"], order == "drain" || order == "serve"
    else {
      return .text("needs service=NAME, endpoint=ADDRESS and order=drain or serve\n", status: 400)
    }
    do throws(HealthReport.OrderFault) {
      try report.drain(order == "drain", service: service, endpoint: endpoint)
    } catch {
      return Self.reply(error)
    }
    log("endpoint ordered", service, endpoint, order)
    guard republish() else {
      return .text("noted, but workers could not be told\n", status: 503)
    }
    return .text("done\n")
  }

  private func log(_ message: String, _ service: String, _ endpoint: String?, _ order: String?) {
    logger?.notice(
      "\(message)",
      metadata: [
        "service": "\(service)", "endpoint": "\(endpoint ?? "")", "order": "\(order ?? "")",
      ]
    )
  }

  private static func reply(_ fault: HealthReport.OrderFault) -> AdminReply {
    switch fault {
    case .unknownService: .text("there is no such service\n", status: 404)
    case .unknownEndpoint:
      .text("the service has no such endpoint; GET /admin/services lists them\n", status: 404)
    case .noBreaker: .text("the service has no breaker; write breaker: {}\n", status: 409)
    }
  }

  /// The parts of a query, decoded; `nil` where it is malformed or names one twice.
  static func parameters(_ query: String) -> [String: String]? {
    var found: [String: String] = [:]
    for part in query.split(separator: "&") {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard pair.count == 2, let value = decode(pair[1]) else { return nil }
      guard found.updateValue(value, forKey: String(pair[0])) == nil else { return nil }
    }
    return found
  }

  /// Undoes percent-encoding (RFC 3986 section 2.1).
  private static func decode(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2,
        let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      else { return nil }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    // It goes into a log and is compared with names: text without control characters.
    guard let decoded = String(validating: bytes, as: UTF8.self),
      decoded.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
    else { return nil }
    return decoded
  }
}
