internal import Configuration
internal import HTTPCodec
internal import TLS
internal import Telemetry
internal import Units

/// Listeners: their limits, and their share of the descriptors.
extension SnapshotCompiler {
  /// What listeners without a maximum get of the descriptors that are left, and at least of all.
  private static let clientPercent = 45
  private static let leastPercent = 10

  /// Connections that listeners without a maximum of their own may have together.
  ///
  /// Both sides of a proxied request need a descriptor, so it is less than half of what the others
  /// leave. For each listener by itself three of them would be more than there is. Maxima that are
  /// stated too high do not shut the others out.
  static func commonMaximum(_ settings: Settings, descriptors: Int) -> Int {
    let stated = settings.listeners.reduce(0) { $0 + min($1.maximumConnections ?? 0, descriptors) }
    return max(
      1,
      descriptors * leastPercent / 100,
      (descriptors - stated) * clientPercent / 100
    )
  }

  func compile(
    _ listener: ListenerSetting,
    commonMaximum: Int,
    tls: TLSServerContext?
  ) throws(EdgeError) -> ListenerSettings {
    let place = listenerPlaces.withLock { places -> Int in
      if let place = places[listener.name] { return place }
      places[listener.name] = places.count
      return places.count - 1
    }
    guard place < SharedState.maximumListeners else {
      throw EdgeError(
        .bound,
        "more than \(SharedState.maximumListeners) listeners were ever named"
      )
    }
    let limits = listener.limits
    let head = HeadLimits(
      maximumBytes: limits.headBytes,
      maximumFields: limits.headers,
      maximumTarget: limits.targetBytes
    )
    return ListenerSettings(
      name: listener.name,
      place: place,
      limits: ListenerLimits(
        head: head,
        headTimeout: limits.headTimeout,
        bodyIdle: limits.bodyIdle,
        bodyBytes: limits.bodyBytes,
        minimumRate: Int64(limits.minimumRate),
        keepAliveIdle: limits.keepAliveIdle,
        upgradeIdle: limits.upgradeIdle,
        maximumAge: limits.maximumAge,
        requestsPerConnection: limits.requestsPerConnection,
        settingsTimeout: listener.http2.settingsTimeout,
        pingInterval: listener.http2.pingInterval,
        pingTimeout: listener.http2.pingTimeout
      ),
      pathPolicy: listener.paths,
      maximumConnections: listener.maximumConnections ?? commonMaximum,
      sharesMaximum: listener.maximumConnections == nil,
      perAddress: listener.connectionsPerAddress,
      allow: listener.allow.compactMap(AddressRange.init),
      deny: listener.deny.compactMap(AddressRange.init),
      trusted: listener.trustedProxies.compactMap(AddressRange.init),
      proxyProtocol: listener.proxyProtocol,
      http2: H2Settings(listener.http2, head),
      tls: tls,
      metrics: edge.listener(listener.name),
      nameID: names.id(for: listener.name)
    )
  }
}
