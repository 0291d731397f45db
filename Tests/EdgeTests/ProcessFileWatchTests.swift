import Glibc
import Testing
import Units

@testable import Edge

/// Time is an argument here; only the events of the kernel are real, and those come before the
/// call that causes them returns.
struct ProcessFileWatchTests {
  private final class Folder {
    let path: String

    init() throws {
      path = "/tmp/spillway-watch-\(getpid())-\(UInt32.random(in: 0 ... .max))"
      try #require(mkdir(path, 0o755) == 0)
    }

    deinit {
      for name in FileText.names(in: path) {
        unlink("\(path)/\(name)")
        for inner in FileText.names(in: "\(path)/\(name)") { unlink("\(path)/\(name)/\(inner)") }
        rmdir("\(path)/\(name)")
      }
      rmdir(path)
    }
  }

  @Test func `a file renamed over the old one is one change, after a quiet time`() throws {
    let folder = try Folder()
    let file = "\(folder.path)/edge.yaml"
    FileText.replace(file, with: "one")
    var watch = FileWatch(paths: [file], at: Instant(0))

    FileText.replace(file, with: "two")
    let early = watch.takeChange(at: Instant(0))
    let deadline = watch.deadline
    let late = watch.takeChange(at: deadline)
    let again = watch.takeChange(at: watch.deadline)

    #expect(!early)
    #expect(deadline == Instant(0) + FileWatch.quiet)
    #expect(late)
    #expect(!again)
  }

  @Test func `of several files those that changed are told, one that is gone among them`() throws {
    let folder = try Folder()
    let files = ["a", "b", "c"].map { "\(folder.path)/\($0)" }
    for file in files { FileText.replace(file, with: "one") }
    var watch = FileWatch(paths: files, at: Instant(0))

    FileText.replace(files[1], with: "two")
    unlink(files[2])
    let early = watch.takeChanges(at: Instant(0))
    let late = watch.takeChanges(at: watch.deadline)
    let again = watch.takeChanges(at: watch.deadline)
    FileText.replace(files[2], with: "three")
    _ = watch.takeChanges(at: watch.deadline - FileWatch.recheck)
    let back = watch.takeChanges(at: watch.deadline)

    #expect(early == nil)
    #expect(late == [1, 2])
    #expect(again == [])
    #expect(back == [2])
  }

  @Test func `many writes are one change, however long they go on`() throws {
    let folder = try Folder()
    let file = "\(folder.path)/edge.yaml"
    FileText.replace(file, with: "one")
    var watch = FileWatch(paths: [file], at: Instant(0))
    var changes = 0

    for step in 0..<10 {
      FileText.replace(file, with: "text \(step)")
      if watch.takeChange(at: Instant(0) + .milliseconds(Int64(step) * 50)) { changes += 1 }
    }
    #expect(changes == 0)
    if watch.takeChange(at: Instant(0) + FileWatch.patience) { changes += 1 }

    #expect(changes == 1)
  }

  @Test func `another file of the folder is not a change`() throws {
    let folder = try Folder()
    let file = "\(folder.path)/edge.yaml"
    FileText.replace(file, with: "one")
    var watch = FileWatch(paths: [file], at: Instant(0))

    FileText.replace("\(folder.path)/other", with: "x")
    let early = watch.takeChange(at: Instant(0))
    let late = watch.takeChange(at: watch.deadline)

    #expect(!early)
    #expect(!late)
  }

  @Test func `a file that is gone is no change until it is back`() throws {
    let folder = try Folder()
    let file = "\(folder.path)/edge.yaml"
    FileText.replace(file, with: "one")
    var watch = FileWatch(paths: [file], at: Instant(0))

    unlink(file)
    _ = watch.takeChange(at: Instant(0))
    let gone = watch.takeChange(at: watch.deadline)
    FileText.replace(file, with: "two")
    let now = watch.deadline
    _ = watch.takeChange(at: now - .zero)
    let back = watch.takeChange(at: watch.deadline)

    #expect(!gone)
    #expect(back)
  }

  @Test func `a swapped link on the way to the file is a change`() throws {
    let folder = try Folder()
    for (name, text) in [("v1", "one"), ("v2", "two, longer")] {
      mkdir("\(folder.path)/\(name)", 0o755)
      FileText.replace("\(folder.path)/\(name)/edge.yaml", with: text)
    }
    symlink("v1", "\(folder.path)/..data")
    symlink("..data/edge.yaml", "\(folder.path)/edge.yaml")
    var watch = FileWatch(paths: ["\(folder.path)/edge.yaml"], at: Instant(0))

    symlink("v2", "\(folder.path)/..data_tmp")
    rename("\(folder.path)/..data_tmp", "\(folder.path)/..data")
    _ = watch.takeChange(at: Instant(0))
    let change = watch.takeChange(at: watch.deadline)

    #expect(change)
  }
}

extension Instant {
  fileprivate static func - (a: Instant, b: Nanoseconds) -> Instant { a + (Nanoseconds.zero - b) }
}
