/// A figure of a run and the bound it must keep.
public struct Goal: Sendable {
  public let name: String
  public let figure: @Sendable (Report) -> Double
  /// At least this, or at most.
  public let bound: Double
  public let isMinimum: Bool

  static func least(
    _ name: String,
    _ bound: Double,
    _ figure: @escaping @Sendable (Report) -> Double
  ) -> Goal {
    Goal(name: name, figure: figure, bound: bound, isMinimum: true)
  }

  static func most(
    _ name: String,
    _ bound: Double,
    _ figure: @escaping @Sendable (Report) -> Double
  ) -> Goal {
    Goal(name: name, figure: figure, bound: bound, isMinimum: false)
  }

  public func isMet(by report: Report) -> Bool {
    let value = figure(report)
    return isMinimum ? value >= bound : value <= bound
  }
}

/// A scenario and what must be reached in it.
public struct Trial: Sendable {
  public var scenario: Scenario
  public var goals: [Goal]
}
