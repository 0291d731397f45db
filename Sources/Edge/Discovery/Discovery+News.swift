internal import Configuration
internal import Logging
internal import Units
internal import Upstream

/// What an operator hears of sources: each change once.
extension Discovery {
  /// What a word of a source came to.
  struct News: Sendable {
    var service: String
    var setting: DiscoverySetting
    var outcome: EndpointList.Outcome
    var total: Int
    var problem: String?
    /// What is left out of the list, where that was not so before.
    var remark: EndpointList.Remark?
  }

  /// Characters of a problem in a log line; it may quote the file.
  private static let longestProblem = 600

  func tell(_ news: News) {
    let source = "\(news.setting.kind) \(news.setting.place)"
    if let remark = news.remark {
      logger?.error(
        "entries of \(news.service) are left out, \(remark.count) of them: \(Self.visible(remark.words)) (\(source))"
      )
    }
    switch news.outcome {
    case .changed(let change):
      logger?.notice(
        "endpoints of \(news.service): \(change.added) added, \(change.removed) removed, \(change.changed) changed, \(news.total) in all (\(source))"
      )
    case .unchanged(hasRecovered: true):
      logger?.notice("endpoints of \(news.service) can be read again, unchanged (\(source))")
    case .unchanged, .refused(isNews: false): break
    case .refused(isNews: true):
      let problem = Self.visible(news.problem ?? "")
      logger?.error(
        "endpoints of \(news.service) stay as they are, \(news.total) in all: \(problem) (\(source))"
      )
    }
  }

  /// Notes for which addresses there was no room in what is served from now on.
  func adopt(leftOut: [String: Int]) {
    let before = self.leftOut.withLock { kept in
      defer { kept = leftOut }
      return kept
    }
    guard before != leftOut else { return }
    for (service, count) in leftOut.sorted(by: { $0.key < $1.key }) where before[service] == nil {
      logger?.error("addresses of \(service) are left out, \(count) of them: there is no room")
    }
    for service in before.keys.sorted() where leftOut[service] == nil {
      logger?.notice("no address of \(service) is left out any more")
    }
  }

  /// A text of others within bounds, without what steers terminals or ends lines.
  static func visible(_ text: String) -> String {
    let scalars = text.unicodeScalars.prefix(longestProblem).map { scalar in
      switch scalar.value {
      case 0..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069: Unicode.Scalar(0x3F as UInt8)
      default: scalar
      }
    }
    return String(String.UnicodeScalarView(scalars))
  }
}

extension Discovery.News {
  init(
    _ service: String,
    _ entry: Discovery.Entry,
    _ outcome: EndpointList.Outcome
  ) {
    self.init(
      service: service,
      setting: entry.setting,
      outcome: outcome,
      total: entry.list.endpoints.count,
      problem: entry.list.problem
    )
  }
}
