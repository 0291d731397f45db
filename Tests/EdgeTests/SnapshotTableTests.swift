import Routing
import Telemetry
import Testing

@testable import Edge

struct SnapshotTableTests {
  private func snapshot(_ version: Int) throws -> Snapshot {
    Snapshot(
      routes: try RouteTable(rules: []),
      compiled: [],
      services: [],
      replies: PreparedReplies(classes: [], configVersion: version, answers: []),
      listeners: [],
      sampling: SampleTable(SampleRule()),
      configVersion: version
    )
  }

  @Test func `a full table refuses the next and takes it after a retirement`() throws {
    var table = SnapshotTable()
    var slots: [Int32] = []
    for version in 0..<SnapshotTable.defaultCapacity {
      #expect(table.adopt(try snapshot(version)))
      slots.append(table.use())
    }
    #expect(!table.adopt(try snapshot(1_000)))
    #expect(table.newest.configVersion == SnapshotTable.defaultCapacity - 1)
    table.release(slots[5])
    #expect(table.adopt(try snapshot(1_001)))
    #expect(table.newest.configVersion == 1_001)
  }

  @Test func `a snapshot ends with its last user, and not before`() throws {
    var table = SnapshotTable()
    #expect(table.isEmpty == true)
    #expect(table.adopt(try snapshot(1)))
    let (first, second) = (table.use(), table.use())
    #expect(table.adopt(try snapshot(2)))
    #expect(table[first].configVersion == 1)
    table.release(first)
    #expect(table.takeRetired().isEmpty)
    table.release(second)
    #expect(table.takeRetired().map(\.configVersion) == [1])
    #expect(table.takeRetired().isEmpty)
  }

  @Test func `the newest stays when its users end, and goes when it is replaced`() throws {
    var table = SnapshotTable()
    #expect(table.adopt(try snapshot(1)))
    table.release(table.use())
    #expect(table.takeRetired().isEmpty)
    #expect(table.adopt(try snapshot(2)))
    #expect(table.takeRetired().map(\.configVersion) == [1])
  }

  @Test func `the newest of two deliveries is what a worker takes`() throws {
    let mailbox = WorkerMailbox()
    mailbox.deliver(try snapshot(1), sockets: [])
    mailbox.deliver(try snapshot(2), sockets: nil)
    let post = mailbox.takePost()
    #expect(post.snapshot?.configVersion == 2)
    #expect(post.sockets?.isEmpty == true)
    #expect(mailbox.takePost().snapshot == nil)
    mailbox.advance(to: .closing)
    #expect(mailbox.stage == .closing)
  }

  @Test func `sockets that a later delivery has no more are not lost`() throws {
    let sockets = (10...12).map { WorkerSocket(descriptor: $0, place: 0) }
    let mailbox = WorkerMailbox()
    mailbox.deliver(try snapshot(1), sockets: Array(sockets[...1]))
    mailbox.deliver(try snapshot(2), sockets: [sockets[1]])
    mailbox.deliver(try snapshot(3), sockets: nil)
    mailbox.deliver(try snapshot(4), sockets: [sockets[2]])
    let post = mailbox.takePost()
    #expect(post.sockets?.map(\.descriptor) == [12])
    #expect(post.superseded.map(\.descriptor) == [10, 11])
  }
}
