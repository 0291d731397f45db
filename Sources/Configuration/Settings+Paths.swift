public import Routing

extension Settings {
  /// How the paths of routes are spelled: as the listeners leave those of requests.
  ///
  /// All listeners share the routes. What one refuses it never asks for, so the policy that keeps
  /// most serves them all; only merging and keeping repeated slashes contradict each other, and
  /// validation refuses the routes that tell them apart.
  public var routePaths: PathPolicy {
    let policies = listeners.map(\.paths)
    var common = PathPolicy()
    if policies.contains(where: { $0.encodedSlash == .keep }) { common.encodedSlash = .keep }
    let slashes = Set(policies.map(\.repeatedSlashes))
    if slashes.contains(.keep) {
      common.repeatedSlashes = .keep
    } else if slashes == [.refuse] {
      common.repeatedSlashes = .refuse
    }
    return common
  }

  /// Whether some listeners merge repeated slashes that others keep.
  var areSlashesAmbiguous: Bool {
    listeners.contains { $0.paths.repeatedSlashes == .merge }
      && listeners.contains { $0.paths.repeatedSlashes == .keep }
  }
}
