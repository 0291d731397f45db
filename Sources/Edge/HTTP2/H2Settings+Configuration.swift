internal import Configuration
internal import HTTPCodec

extension H2Settings {
  /// A listener's sessions, of validated settings; `limits` are its bounds for heads.
  init(_ setting: HTTP2Setting, _ limits: HeadLimits) {
    // CONNECT is answered, with 501, unless it asks for a WebSocket.
    self.init(
      maximumStreams: setting.maximumStreams,
      streamWindow: setting.window,
      connectionWindow: setting.connectionWindow,
      limits: limits,
      allowsConnect: true,
      allowsExtendedConnect: true,
      abuse: AbuseSettings(setting)
    )
  }
}

extension AbuseSettings {
  init(_ setting: HTTP2Setting) {
    self.init()
    resets = AbuseLimit(setting.resets)
    provokedResets = AbuseLimit(setting.provokedResets)
    fields = AbuseLimit(setting.fields)
    pings = AbuseLimit(setting.pings)
    settings = AbuseLimit(setting.settings)
    priorities = AbuseLimit(setting.priorities)
    emptyFrames = AbuseLimit(setting.emptyFrames)
    tinyFrames = AbuseLimit(setting.tinyFrames)
    windowUpdates = AbuseLimit(setting.windowUpdates)
    unknownFrames = AbuseLimit(setting.unknownFrames)
  }
}

extension AbuseLimit {
  fileprivate init(_ budget: HTTP2Setting.Budget) {
    self.init(burst: budget.burst, perSecond: budget.perSecond)
  }
}
