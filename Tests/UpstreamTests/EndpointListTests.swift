import Testing
import Upstream

/// What is held on to while a source of endpoints says nothing of use.
@Suite struct EndpointListTests {
  private static func endpoint(
    _ host: String,
    weight: Int = 1,
    priority: Int = 0
  ) -> ListedEndpoint {
    ListedEndpoint(.host(host, port: 80), weight: weight, priority: priority)
  }

  @Test func `a list is told apart from the one before by what it adds, removes and changes`() {
    var list = EndpointList()

    let first = list.hear(["a", "b", "c"].map { Self.endpoint($0) }, at: 10)
    let second = list.hear(
      [Self.endpoint("c"), Self.endpoint("b", weight: 5), Self.endpoint("d"), Self.endpoint("e")],
      at: 20
    )

    #expect(first == .changed(.init(added: 3)))
    #expect(second == .changed(.init(added: 2, removed: 1, changed: 1)))
    #expect(list.endpoints.count == 4)
    #expect(list.changes == 2)
    #expect(list.heardAt == 20)
    #expect(list.isUp)
  }

  @Test func `another order and addresses listed twice are no change`() {
    var list = EndpointList()
    _ = list.hear([Self.endpoint("a"), Self.endpoint("b")], at: 10)

    let outcome = list.hear(
      [Self.endpoint("b"), Self.endpoint("a"), Self.endpoint("b", weight: 9)],
      at: 20
    )

    #expect(outcome == .unchanged(hasRecovered: false))
    #expect(list.endpoints == [Self.endpoint("a"), Self.endpoint("b")])
    #expect(list.heardAt == 20)
    #expect(list.changes == 1)
  }

  @Test(arguments: [
    (ListedEndpoint.Address.host("a", port: 80), ListedEndpoint.Address.host("a", port: 81)),
    (.host("a", port: 80), .unix("/a")),
  ])
  func `another port or socket is another endpoint`(
    _ before: ListedEndpoint.Address,
    _ after: ListedEndpoint.Address
  ) {
    var list = EndpointList(before: [ListedEndpoint(before)])

    #expect(list.hear([ListedEndpoint(after)], at: 1) == .changed(.init(added: 1, removed: 1)))
  }

  @Test func `no failure takes the last list away, nor does an empty one`() {
    var list = EndpointList()
    _ = list.hear([Self.endpoint("a")], at: 10)

    for failure in DiscoveryFailure.allCases {
      #expect(list.fail(failure, "no") == .refused(isNews: true))
      #expect(!list.isUp)
      #expect(list.endpoints == [Self.endpoint("a")])
    }
    let empty = list.hear([], at: 20)

    #expect(empty == .refused(isNews: true))
    #expect(list.endpoints == [Self.endpoint("a")])
    #expect(list.heardAt == 10)
    #expect(list.count(.empty) == 2)
    #expect(list.count(.unavailable) == 1)
  }

  @Test func `a failure that lasts is news once, and again after a good list`() {
    var list = EndpointList(before: [Self.endpoint("a")])

    #expect(!list.isUp)
    #expect(list.fail(.unavailable, "gone") == .refused(isNews: true))
    #expect(list.fail(.unavailable, "gone") == .refused(isNews: false))
    #expect(list.fail(.unavailable, "forbidden") == .refused(isNews: true))
    #expect(list.problem == "forbidden")
    #expect(list.hear([Self.endpoint("a")], at: 5) == .unchanged(hasRecovered: true))
    #expect(list.isUp)
    #expect(list.problem == nil)
    #expect(list.fail(.unavailable, "forbidden") == .refused(isNews: true))
    #expect(list.count(.unavailable) == 3)
  }

  @Test func `what a service had before its source stands until the first list`() {
    var list = EndpointList(before: [Self.endpoint("a"), Self.endpoint("b")])

    _ = list.hear([], at: 1)
    #expect(list.endpoints.count == 2)

    #expect(list.hear([Self.endpoint("b")], at: 2) == .changed(.init(removed: 1)))
  }
}
