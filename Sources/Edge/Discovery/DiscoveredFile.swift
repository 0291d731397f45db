internal import Configuration
internal import Upstream

/// What a source of endpoints said.
enum DiscoveryWord: Sendable, Equatable {
  case list([ListedEndpoint], remark: EndpointList.Remark? = nil)
  case failure(DiscoveryFailure, String)
}

/// Reads files that list endpoints.
enum DiscoveredFile {
  /// What a file says now.
  ///
  /// - Parameters:
  ///   - path: Where it lies; links are followed.
  ///   - allowsUnix: Whether it may list UNIX sockets.
  /// - Returns: Its list, an empty one included, or what is wrong with it.
  static func read(_ path: String, allowsUnix: Bool) -> DiscoveryWord {
    let bytes: [UInt8]
    do throws(PlainFile.Fault) {
      bytes = try PlainFile.read(path, maximumBytes: EndpointFile.maximumBytes)
    } catch {
      return .failure(error.failure, error.words)
    }
    return judge(String(decoding: bytes, as: UTF8.self), path, allowsUnix: allowsUnix)
  }

  /// What a text says; `path` is what faults name.
  static func judge(_ text: String, _ path: String, allowsUnix: Bool) -> DiscoveryWord {
    do {
      return .list(
        try EndpointFile.read(text, file: path, allowsUnix: allowsUnix).map(ListedEndpoint.init)
      )
    } catch {
      return .failure(.invalid, describe(error))
    }
  }

  /// Faults that a log line names.
  private static let shownFaults = 3

  private static func describe(_ error: ConfigurationError) -> String {
    var parts = error.problem.map { ["\(error.file): \($0)"] } ?? []
    parts += error.faults.prefix(shownFaults).map { $0.description(in: error.file) }
    let more = error.faults.count - shownFaults
    if more > 0 { parts.append("and \(more) more") }
    return parts.joined(separator: "; ")
  }
}

extension ListedEndpoint {
  init(_ entry: EndpointFile.Entry) {
    self.init(entry.endpoint, entry.traits)
  }

  init(_ endpoint: ServiceSetting.Endpoint, _ traits: EndpointTraits) {
    let address: Address =
      switch endpoint {
      case .host(let host, let port): .host(host, port: port)
      case .unix(let path): .unix(path)
      }
    self.init(address, weight: traits.weight, priority: traits.priority, zone: traits.zone)
  }

  /// As settings have it.
  var endpoint: ServiceSetting.Endpoint {
    switch address {
    case .host(let host, let port): .host(host, port: port)
    case .unix(let path): .unix(path)
    }
  }

  var traits: EndpointTraits {
    var traits = EndpointTraits()
    traits.weight = weight
    traits.priority = priority
    traits.zone = zone
    return traits
  }
}
