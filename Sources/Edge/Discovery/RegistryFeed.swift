internal import Configuration
internal import Units
internal import Upstream

/// One service's registry: what is asked of it, and the call that is under way.
///
/// Used by one thread.
final class RegistryFeed {
  let source: Discovery.Source
  private let question: RegistryQuestion
  private let tokenFile: String?
  private let caller: any ServiceCaller
  private var watcher: RegistryWatcher
  private(set) var call: (any ServiceCall)?

  /// `nil` for a source that is no registry.
  init?(
    _ source: Discovery.Source,
    _ caller: any ServiceCaller,
    _ pacing: RegistryPacing,
    at now: Instant
  ) {
    guard case .registry(let registry) = source.setting else { return nil }
    self.source = source
    self.caller = caller
    question = RegistryQuestion(registry)
    tokenFile = registry.tokenFile
    watcher = RegistryWatcher(question, .house, pacing: pacing, at: now)
  }

  /// When `advance` has something to do though the call has not.
  var due: Instant { watcher.due }

  /// Goes on without waiting, and tells what the registry said.
  func advance(
    _ discovery: Discovery,
    at now: Instant,
    using random: inout some RandomNumberGenerator
  ) {
    if let call {
      for event in call.advance() {
        // A step may have given it up for another one.
        guard self.call === call else { break }
        switch event {
        case .end, .failed: self.call = nil
        case .head, .body: break
        }
        perform(watcher.hear(event, at: now, using: &random), discovery, at: now, using: &random)
        guard self.call === call || self.call == nil else { break }
      }
    }
    perform(watcher.wake(at: now, using: &random), discovery, at: now, using: &random)
  }

  /// Gives up the call that is under way.
  func cancel() {
    call?.cancel()
    call = nil
  }

  private func perform(
    _ steps: [RegistryWatcher.Step],
    _ discovery: Discovery,
    at now: Instant,
    using random: inout some RandomNumberGenerator
  ) {
    for step in steps {
      switch step {
      case .cancel: cancel()
      case .begin(let request): begin(request, discovery, at: now, using: &random)
      case .list(let list):
        discovery.hear(.list(list.endpoints, remark: list.remark), from: source)
      case .failure(let failure, let problem):
        discovery.hear(.failure(failure, problem), from: source)
      case .resync(let why): discovery.note(why, of: source)
      }
    }
  }

  private func begin(
    _ request: ServiceRequest,
    _ discovery: Discovery,
    at now: Instant,
    using random: inout some RandomNumberGenerator
  ) {
    var request = request
    if let tokenFile {
      do throws(PlainFile.Fault) {
        // Each time: it is read from memory, and so it cannot be an old one.
        request.fields.append(question.field(token: try RegistryToken.read(tokenFile)))
      } catch {
        let steps = watcher.cannotAsk(error.words, at: now, using: &random)
        perform(steps, discovery, at: now, using: &random)
        return
      }
    }
    call = caller.begin(request)
  }
}

extension RegistryRules {
  /// As files of endpoints are bounded, and endpoints of configurations read.
  static let house = RegistryRules(maximumEntries: EndpointFile.maximumEndpoints) { text in
    RegistryAddress.read(text).map { .host($0.host, port: $0.port) }
  }
}

extension RegistryQuestion {
  init(_ setting: RegistrySetting) {
    switch setting.subject {
    case .etcd(let prefix): self.init(service: setting.service, .etcd(prefix: prefix))
    case .consul(let name, let tag, let datacenter):
      self.init(
        service: setting.service,
        .consul(name: name, tag: tag, datacenter: datacenter)
      )
    case .kubernetes(let namespace, let name, let port):
      self.init(
        service: setting.service,
        .kubernetes(namespace: namespace, name: name, port: port.map(Port.init))
      )
    }
  }
}

extension RegistryQuestion.Port {
  init(_ setting: RegistrySetting.Port) {
    switch setting {
    case .name(let name): self = .name(name)
    case .number(let number): self = .number(Int(number))
    }
  }
}
