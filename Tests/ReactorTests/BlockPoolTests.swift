import Reactor
import Testing

struct BlockPoolTests {
  @Test func `a pool at its bound says so and counts who was turned away`() {
    let pool = BlockPool(capacity: 2)
    let first = pool.acquire()
    _ = pool.acquire()

    #expect(pool.isExhausted)
    #expect(pool.acquire() == -1)
    #expect(pool.acquire() == -1)
    #expect(pool.exhaustions == 2)
    #expect(pool.inUse == 2)

    pool.release(first)
    #expect(!pool.isExhausted)
    #expect(pool.acquire() == first)
  }

  @Test func `a shared block is free only when the last reference goes`() {
    let pool = BlockPool(capacity: 1)
    let block = pool.acquire()
    #expect(pool.isUnique(block))
    pool.retain(block)
    #expect(!pool.isUnique(block))
    pool.release(block)
    #expect(pool.inUse == 1)
    #expect(pool.acquire() == -1)
    pool.release(block)
    #expect(pool.inUse == 0)
    #expect(pool.acquire() == block)
  }

  @Test func `blocks do not overlap and the warm one comes back first`() {
    let pool = BlockPool(capacity: 3)
    let blocks = (0..<3).map { _ in pool.acquire() }
    for block in blocks {
      pool.bytes(block).update(repeating: UInt8(block + 1), count: BlockPool.blockSize)
    }
    for block in blocks {
      #expect(pool.bytes(block)[0] == UInt8(block + 1))
      #expect(pool.bytes(block)[BlockPool.blockSize - 1] == UInt8(block + 1))
    }
    pool.release(blocks[0])
    pool.release(blocks[2])
    #expect(pool.acquire() == blocks[2])
    #expect(pool.acquire() == blocks[0])
  }
}
