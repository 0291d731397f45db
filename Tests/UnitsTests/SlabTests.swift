import Testing
import Units

struct SlabTests {
  @Test func `a slab at its bound gives nothing, and gives again after a release`() {
    var slab = Slab<UInt64>(capacity: 2)
    let first = slab.allocate()
    let second = slab.allocate()

    #expect(slab.allocate() == -1)
    #expect(slab.count == 2)

    slab.release(first)
    #expect(slab.allocate() == first)
    #expect(slab.allocate() == -1)
    #expect(second != first)
  }

  @Test func `a name from before a release does not match the next life of its entry`() {
    var slab = Slab<UInt64>(capacity: 1)
    let index = slab.allocate()
    let before = slab.generation(index)
    slab.release(index)
    let between = slab.generation(index)
    _ = slab.allocate()

    #expect(before & 1 == 1)
    #expect(between & 1 == 0)
    #expect(slab.generation(index) != before)
    #expect(slab.generation(index) & 1 == 1)
  }

  @Test func `freed entries come back last in, first out`() {
    var slab = Slab<UInt64>(capacity: 8)
    let indices = (0..<4).map { _ in slab.allocate() }
    slab.release(indices[1])
    slab.release(indices[3])

    #expect(slab.allocate() == indices[3])
    #expect(slab.allocate() == indices[1])
    #expect(slab.allocate() == 4)
  }

  @Test func `pointers to entries stay valid while others come and go`() {
    var slab = Slab<UInt64>(capacity: 1_000)
    let kept = slab.allocate()
    slab[kept].initialize(to: 42)
    for _ in 0..<999 { slab[slab.allocate()].initialize(to: 7) }
    for index in Int32(0)..<1_000 where index != kept { slab.release(index) }

    #expect(slab[kept].pointee == 42)
    #expect(slab.count == 1)
  }
}
