import Telemetry
import Testing

/// Numbers that stand for names in records.
struct NameTableTests {
  @Test func `names keep their ids and a full table answers other`() {
    let names = NameTable()

    let first = names.id(for: "a")
    for number in 0..<70_000 { _ = names.id(for: "n\(number)") }

    #expect(names.id(for: "a") == first)
    #expect(names.id(for: "late") == names.id(for: "later"))
    #expect(names.overflowed > 4_000)
  }

  @Test func `addresses that change for years take turns with few numbers`() {
    let names = NameTable()
    let route = names.id(for: "route")
    var highest: Int32 = 0
    // Two at a time, as while a configuration takes the place of the one before.
    var held = [names.lease(for: "a0")]
    for number in 1..<200_000 {
      held.append(names.lease(for: "a\(number)"))
      highest = max(highest, held.last?.id.rawValue ?? 0)
      // One comes and goes between all the others.
      held.append(names.lease(for: "flapping"))
      held.removeFirst(held.count - 1)
      held.append(names.lease(for: "a\(number)"))
      held.removeFirst()
    }

    #expect(highest < 2_000)
    #expect(names.overflowed == 0)
    #expect(names.id(for: "route") == route)
  }

  @Test func `a number belongs to its name while it is leased and a while longer`() {
    let names = NameTable()
    let kept = names.lease(for: "kept")
    let gone = names.lease(for: "gone").id

    #expect(names.lease(for: "gone").id == gone)
    let before = (0..<1_000).map { names.lease(for: "n\($0)").id }
    #expect(!before.contains(gone) && !before.contains(kept.id))
    let after = (0..<5_000).map { names.lease(for: "m\($0)").id }
    #expect(after.contains(gone))
    #expect(!after.contains(kept.id))
    #expect(names.lease(for: "kept").id == kept.id)
    // What the configuration names is not given away, whoever leased it first.
    let named = names.lease(for: "named").id
    #expect(names.id(for: "named") == named)
    #expect(!(0..<5_000).map { names.lease(for: "o\($0)").id }.contains(named))
  }
}
