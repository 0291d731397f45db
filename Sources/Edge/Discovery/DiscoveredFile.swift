internal import Configuration
internal import Glibc
internal import Upstream

/// What a source of endpoints said.
enum DiscoveryWord: Sendable, Equatable {
  case list([ListedEndpoint])
  case failure(DiscoveryFailure, String)
}

/// Reads files that list endpoints.
///
/// A file is whatever somebody puts at a path, so it is opened without waiting, must be a plain one,
/// and no more of it is read than may be of use.
enum DiscoveredFile {
  /// What a file says now.
  ///
  /// - Parameters:
  ///   - path: Where it lies; links are followed.
  ///   - allowsUnix: Whether it may list UNIX sockets.
  /// - Returns: Its list, an empty one included, or what is wrong with it.
  static func read(_ path: String, allowsUnix: Bool) -> DiscoveryWord {
    // A pipe that nobody writes to would hold the thread for ever.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else {
      return .failure(.unavailable, "\(path): cannot be read: \(systemText(errno))")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      return .failure(.unavailable, "\(path): is no plain file")
    }
    // Asked before the first byte is read: a file can be larger than memory.
    guard status.st_size <= EndpointFile.maximumBytes else {
      return .failure(.invalid, "\(path): has more than \(EndpointFile.maximumBytes) bytes")
    }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 65_536)
    // One byte beyond the bound is enough to know that it has grown meanwhile.
    while bytes.count <= EndpointFile.maximumBytes {
      let count = Glibc.read(descriptor, &block, block.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        return .failure(.unavailable, "\(path): cannot be read: \(systemText(errno))")
      }
      if count == 0 { break }
      bytes += block[..<count]
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

  private static func systemText(_ code: Int32) -> String { String(cString: strerror(code)) }
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
