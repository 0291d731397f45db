import HTTPCodec
import Testing
import Units

/// The memory of nghttp2: counted, bounded, given back.
struct H2MemoryTests {
  /// A session over hostile and over plain bytes, as far as memory goes.
  private func serve(_ workspace: H2Workspace) {
    let session = H2Session(isServer: true, settings: H2Settings(), workspace: workspace)
    guard let session else { return }
    var bytes = H2Frames.hello
    for id in 0..<40 {
      // Each field takes a place in the table, until older ones have to go.
      let name = Array("x-\(id)".utf8)
      let value = [UInt8](repeating: 0x61, count: 10 + 90 * (id % 3))
      let entry = H2Frames.literal(name, value, prefix: 0x40)
      let section = H2Frames.block(H2Frames.get) + entry
      bytes += H2Frames.frame(0x1, id % 4 == 0 ? 0x4 : 0x5, UInt32(id * 2 + 1), section)
    }
    bytes.withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      var used = 0
      repeat {
        used += session.receive(start + used, count: buffer.count - used, at: Instant(0))
        while let event = session.nextEvent() {
          guard event.kind == .request else { continue }
          let fields = H2FieldList(workspace)
          _ = session.respond(event.stream, status: 200, fields: fields, endsStream: true)
        }
        while session.nextClosed() != nil {}
      } while used < buffer.count || session.isPaused
    }
    var output = [UInt8](repeating: 0, count: 16_384)
    output.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      while session.send(into: start, capacity: buffer.count) > 0 {}
    }
    while session.nextClosed() != nil {}
  }

  @Test func `what sessions took is there again when they are gone`() {
    let workspace = H2Workspace(streams: 100)
    serve(workspace)
    let held = workspace.memoryHeld
    #expect(workspace.memoryInUse == 0)
    #expect(workspace.memoryRefusals == 0)

    for _ in 0..<50 { serve(workspace) }

    #expect(workspace.memoryInUse == 0)
    #expect(workspace.memoryHeld == held, "the same pieces are used again")
  }

  @Test func `no bound traps, is passed, or keeps anything`() {
    var refusals: UInt64 = 0
    for bound in stride(from: 0, through: 512, by: 2) {
      let workspace = H2Workspace(streams: 100, memory: bound * 1_024)
      // The first one leaves what the next may use: they fail in other places.
      for _ in 0..<3 { serve(workspace) }
      #expect(workspace.memoryInUse == 0, "at \(bound) KiB")
      #expect(workspace.memoryHeld <= bound * 1_024)
      refusals += workspace.memoryRefusals
    }
    #expect(refusals > 0)
  }

  @Test func `at the bound no session begins, and those before go on`() {
    let workspace = H2Workspace(streams: 100, memory: 512 * 1_024)
    var sessions: [H2Session] = []
    while sessions.count < 1_000,
      let session = H2Session(isServer: true, settings: H2Settings(), workspace: workspace)
    {
      sessions.append(session)
    }
    #expect((2..<1_000).contains(sessions.count))
    #expect(workspace.memoryInUse <= 512 * 1_024)

    sessions.removeLast(sessions.count / 2)
    serve(workspace)

    #expect(sessions.allSatisfy { $0.failure == nil })
    sessions = []
    #expect(workspace.memoryInUse == 0)
  }

  #if !PLAIN_MEMORY
  @Test func `rooms for frames are kept for the sessions to come, but not those of a crowd`() {
    let workspace = H2Workspace(streams: 100)
    var sessions: [H2Session] = []
    func open(_ count: Int) {
      while sessions.count < count,
        let session = H2Session(isServer: true, settings: H2Settings(), workspace: workspace)
      {
        sessions.append(session)
      }
    }
    open(1)
    let one = workspace.memoryHeld
    sessions = []
    #expect(workspace.memoryInUse == 0)
    #expect(workspace.memoryHeld == one)

    open(1_000)
    #expect(workspace.memoryHeld > 16_384 * 1_000)
    sessions = []

    // Slabs of small pieces stay: 13 KB of each session.
    #expect(workspace.memoryInUse == 0)
    #expect(workspace.memoryHeld < 16_384 * 1_000)
    open(64)
    let held = workspace.memoryHeld
    sessions = []
    #expect(workspace.memoryHeld == held)
  }
  #endif
}
