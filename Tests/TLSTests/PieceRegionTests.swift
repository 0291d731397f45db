import Glibc
import Testing

@testable import TLS

struct PieceRegionTests {
  /// No stretch of addresses, or no piece.
  private struct NoRoom: Error {}

  private func made(_ chunks: Int) throws -> PieceRegion {
    guard let region = PieceRegion(size: 7_616, chunks: chunks) else { throw NoRoom() }
    return region
  }

  /// Pieces until there is none, each filled with its number.
  private func exhaust(_ region: inout PieceRegion) -> [UnsafeMutableRawPointer] {
    var pieces: [UnsafeMutableRawPointer] = []
    while let piece = region.allocate() {
      pieces.append(piece)
      memset(piece, Int32(pieces.count % 250 + 1), region.size)
    }
    return pieces
  }

  @Test func `pieces do not overlap, and at the bound there is none`() throws {
    var region = try made(3)
    var pieces = exhaust(&region)
    #expect(pieces.count == 3 * 64)
    #expect(region.inUse == 3 * 64)
    let addresses = region.addresses
    for (index, piece) in pieces.enumerated() {
      let bytes = UnsafeRawBufferPointer(start: piece, count: region.size)
      let mark = UInt8((index + 1) % 250 + 1)
      #expect(bytes.allSatisfy { $0 == mark })
      #expect(addresses.contains(piece))
    }
    let last = pieces.removeLast()
    region.deallocate(last)
    let again = region.allocate()
    #expect(again == last)
    for piece in pieces { region.deallocate(piece) }
    #expect(region.inUse == 1)
  }

  @Test func `what is given back goes to the kernel, but for one chunk`() throws {
    var region = try made(4)
    let pieces = exhaust(&region)
    for piece in pieces.reversed() { region.deallocate(piece) }
    // What went back reads as zeros.
    let kept = stride(from: 0, to: pieces.count, by: 64).filter {
      pieces[$0].load(as: UInt8.self) != 0
    }
    #expect(kept.count == 1)
    let more = exhaust(&region)
    #expect(Set(more) == Set(pieces))
    for piece in more { region.deallocate(piece) }
    #expect(region.inUse == 0)
  }

  @Test func `a session's memory moves, grows and is given back`() throws {
    let session = try #require(SessionMemory.allocate(7_608))
    memset(session, 9, 7_608)
    let larger = try #require(SessionMemory.reallocate(session, 20_000))
    #expect(UnsafeRawBufferPointer(start: larger, count: 7_608).allSatisfy { $0 == 9 })
    let again = try #require(SessionMemory.allocate(7_608))
    #expect(again == session, "its place was free")
    #expect(SessionMemory.reallocate(again, 0) == nil)
    #expect(SessionMemory.allocate(0) == nil)
    SessionMemory.deallocate(nil)
    SessionMemory.deallocate(larger)
    let small = try #require(SessionMemory.reallocate(nil, 64))
    SessionMemory.deallocate(SessionMemory.reallocate(small, 128))
  }
}
