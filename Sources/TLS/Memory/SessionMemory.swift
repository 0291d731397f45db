internal import COpenSSL
internal import Glibc
internal import Units

/// Where OpenSSL takes the memory of its sessions from.
///
/// The object of a session (`SSL`) is by far the largest that an idle connection holds: 7,608 bytes
/// with OpenSSL 3.0, for which a general allocator with classes of sizes gives 8,192. Pieces of this
/// size come from a region of their own instead; everything else is the C library's, as before.
public enum SessionMemory {
  /// Bytes of a piece, and the least that is asked for when it is a session; with other versions of
  /// OpenSSL, whose sessions are of other sizes, nothing is gained and nothing lost.
  private static let pieceBytes = 7_616
  private static let leastBytes = 7_168
  /// Room for 131,072 sessions, 1 GiB of addresses; more of them are the C library's again.
  private static let chunks = 2_048

  private static let region = Region()

  /// A region behind a lock: a session begins with one worker and may end with its context.
  private struct Region: @unchecked Sendable {
    // Pointers are what makes it unchecked; they are only compared.
    private let addresses: Range<UnsafeMutableRawPointer>
    private let pieces: Locked<PieceRegion>

    init?() {
      guard let pieces = PieceRegion(size: pieceBytes, chunks: chunks) else { return nil }
      addresses = pieces.addresses
      self.pieces = Locked(pieces)
    }

    func contains(_ pointer: UnsafeMutableRawPointer) -> Bool { addresses.contains(pointer) }

    func allocate() -> UnsafeMutableRawPointer? {
      UnsafeMutableRawPointer(bitPattern: pieces.withLock { UInt(bitPattern: $0.allocate()) })
    }

    func deallocate(_ pointer: UnsafeMutableRawPointer) {
      let address = UInt(bitPattern: pointer)
      pieces.withLock { pieces in
        if let pointer = UnsafeMutableRawPointer(bitPattern: address) { pieces.deallocate(pointer) }
      }
    }
  }

  /// Has OpenSSL use it; to be called before anything else of OpenSSL is.
  ///
  /// - Returns: `false` when OpenSSL holds memory already, or there is no room for the region: then
  ///   everything is as it would be without.
  @discardableResult
  public static func install() -> Bool {
    #if PLAIN_MEMORY
    // Sanitizers see into the C library's pieces only.
    return false
    #else
    guard region != nil else { return false }
    return CRYPTO_set_mem_functions(
      { count, _, _ in SessionMemory.allocate(count) },
      { pointer, count, _, _ in SessionMemory.reallocate(pointer, count) },
      { pointer, _, _ in SessionMemory.deallocate(pointer) }
    ) == 1
    #endif
  }

  static func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
    guard count > 0 else { return nil }
    if count >= leastBytes, count <= pieceBytes, let piece = region?.allocate() { return piece }
    return malloc(count)
  }

  static func deallocate(_ pointer: UnsafeMutableRawPointer?) {
    guard let pointer else { return }
    guard let region, region.contains(pointer) else { return free(pointer) }
    region.deallocate(pointer)
  }

  static func reallocate(
    _ pointer: UnsafeMutableRawPointer?,
    _ count: Int
  ) -> UnsafeMutableRawPointer? {
    guard let pointer else { return allocate(count) }
    guard count > 0 else {
      deallocate(pointer)
      return nil
    }
    guard let region, region.contains(pointer) else { return realloc(pointer, count) }
    guard let moved = malloc(count) else { return nil }
    memcpy(moved, pointer, min(count, pieceBytes))
    region.deallocate(pointer)
    return moved
  }
}
