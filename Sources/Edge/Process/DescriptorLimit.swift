public import Configuration
internal import Glibc

/// The number of descriptors that this process may have open.
public enum DescriptorLimit {
  /// Raises the soft limit to the hard one.
  ///
  /// - Returns: The limit from now on.
  @discardableResult
  public static func raise() -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1_024 }
    if limit.rlim_cur < limit.rlim_max {
      var raised = limit
      raised.rlim_cur = limit.rlim_max
      if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
    }
    return Int(clamping: limit.rlim_cur)
  }

  /// Says why what settings state does not fit, `nil` when it does.
  ///
  /// Only maxima that are written count: a default is a cap against runaways and no plan, and many
  /// services with one must not be refused where few connections are ever made.
  public static func fault(_ settings: Settings, limit: Int) -> String? {
    let downstream = settings.listeners.compactMap(\.maximumConnections).reduce(0, +)
    let upstream = settings.services.compactMap(\.maximumConnections).reduce(0, +)
    guard downstream > 0 || upstream > 0 else { return nil }
    return fault(downstream: downstream, upstream: upstream, limit: limit)
  }

  /// Says why the settings do not fit, `nil` when they do.
  ///
  /// - Parameters:
  ///   - downstream: Connections that the listeners may hold together.
  ///   - upstream: Connections that the pools may hold together.
  ///   - limit: What `raise` returned.
  /// - Returns: A sentence for the operator.
  public static func fault(downstream: Int, upstream: Int, limit: Int) -> String? {
    let (sum, overflow) = downstream.addingReportingOverflow(upstream)
    let needed = overflow ? Int.max : sum.addingReportingOverflow(reserve).partialValue
    guard needed < 0 || needed > limit else { return nil }
    return """
      the settings need \(needed) descriptors (\(downstream) downstream, \(upstream) upstream, \
      \(reserve) for files and sockets of the edge itself), but the hard limit is \(limit); \
      raise it (LimitNOFILE= of the unit, ulimit -Hn) or lower connections.maximum
      """
  }

  /// Listeners, rings, logs, name queries and the like.
  public static let reserve = 256
}
