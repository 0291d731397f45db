internal import Routing

/// Reads what a route says about second attempts.
enum HedgeReader {
  static func read(_ field: Field, _ route: RouteSetting) -> HedgeSetting {
    var hedge = HedgeSetting()
    let fields = field.map(["percentile"])
    if let field = fields["percentile"] {
      hedge.percentile = field.share(HedgeSetting.percentiles)
    }
    judge(route, field)
    return hedge
  }

  /// Refuses hedges of a route that has no request for them.
  private static func judge(_ route: RouteSetting, _ place: Field) {
    guard case .service = route.action else {
      return place.fault("is for routes to services; this one answers by itself")
    }
    let methods = route.match.methods
    guard !methods.isEmpty, methods.allSatisfy({ $0 != "GET" && $0 != "HEAD" }) else { return }
    place.fault(
      "the route takes only \(methods.joined(separator: ", ")), and only GET and HEAD have second "
        + "attempts; remove it"
    )
  }
}

extension HedgeSetting {
  /// As a file says it.
  var flow: String { "{percentile: \(percentile)}" }
}
