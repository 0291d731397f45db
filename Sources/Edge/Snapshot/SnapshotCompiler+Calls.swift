internal import Configuration
internal import HTTPCodec
internal import Routing
internal import Telemetry
internal import Units

/// The listener of the edge's own calls, which none but workers themselves come to.
extension SnapshotCompiler {
  /// What a thread of the slow plane may take to read or to write: it may be busy with what it got.
  private static let patience = Nanoseconds.seconds(60)

  /// Its rules, the same in every configuration.
  var callListener: ListenerSettings {
    let setting = ListenerSetting(name: CallPlan.name, address: .unix(""))
    return ListenerSettings(
      name: CallPlan.name,
      place: SharedState.callPlace,
      limits: ListenerLimits(
        head: CallBounds.head,
        headTimeout: callTimes.patience,
        bodyIdle: Self.patience,
        bodyBytes: Int64(ServiceRequest.largestBody),
        minimumRate: 1,
        keepAliveIdle: callTimes.patience,
        upgradeIdle: callTimes.idle,
        maximumAge: setting.limits.maximumAge,
        requestsPerConnection: 1,
        settingsTimeout: setting.http2.settingsTimeout,
        pingInterval: setting.http2.pingInterval,
        pingTimeout: setting.http2.pingTimeout
      ),
      pathPolicy: setting.paths,
      maximumConnections: 0,
      sharesMaximum: false,
      perAddress: 0,
      allow: [],
      deny: [],
      trusted: [],
      proxyProtocol: .off,
      http2: H2Settings(setting.http2, CallBounds.head),
      tls: nil,
      metrics: edge.listener(CallPlan.name),
      nameID: names.id(for: CallPlan.name)
    )
  }
}
