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

  @Test func `free blocks are given back but for the warmest, each once, and can be used again`() {
    let pool = BlockPool(capacity: 4)
    let blocks = (0..<4).map { _ in pool.acquire() }
    for block in blocks {
      pool.bytes(block).update(repeating: 7, count: BlockPool.blockSize)
    }
    for block in blocks.dropFirst() { pool.release(block) }

    #expect(pool.giveBack(sparing: 1, atMost: 1) == 1)
    #expect(pool.giveBack(sparing: 1, atMost: 10) == 1)
    #expect(pool.giveBack(sparing: 1, atMost: 10) == 0)
    #expect(pool.giveBack(sparing: 5, atMost: 10) == 0)
    #expect(pool.bytes(blocks[0])[0] == 7)

    let again = (0..<3).map { _ in pool.acquire() }
    #expect(again == [blocks[3], blocks[2], blocks[1]])
    #expect(again.map { pool.bytes($0)[0] } == [7, 0, 0])
    pool.release(blocks[2])
    #expect(pool.giveBack(sparing: 0, atMost: 10) == 1)
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
