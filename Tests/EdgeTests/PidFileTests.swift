import Foundation
import Glibc
import Testing

@testable import Edge

struct PidFileTests {
  private static let stranger: UInt32 = 65_534

  /// A folder of its own for each test.
  private static func inFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pid-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
  }

  @Test func `the file holds the text until it is removed`() throws {
    try Self.inFolder { folder in
      let path = "\(folder)/spillway.pid"

      let file = try PidFile.write(path, "17\n", owner: geteuid())
      #expect(FileText.read(path) == "17\n")
      #expect(FileText.names(in: folder) == ["spillway.pid"])
      file.remove()

      #expect(FileText.names(in: folder) == [])
    }
  }

  @Test func `another user's child names no folder but that user's own`() throws {
    try Self.inFolder { folder in
      #expect(throws: PidFile.Fault(code: EPERM)) {
        try PidFile.write("\(folder)/spillway.pid", "17\n", owner: Self.stranger)
      }
      #expect(FileText.names(in: folder) == [])
    }
  }

  @Test(arguments: ["passwd", "spillway.pid.old", "..", "spillway.pid/"])
  func `another user's child names no file but the pid file`(name: String) throws {
    try Self.inFolder { folder in
      #expect(throws: PidFile.Fault.self) {
        try PidFile.write("\(folder)/\(name)", "17\n", owner: geteuid())
      }
      #expect(FileText.names(in: folder) == [])
    }
  }

  @Test func `a link at the place is replaced and what it names left alone`() throws {
    try Self.inFolder { folder in
      let (path, precious) = ("\(folder)/spillway.pid", "\(folder)/precious")
      FileText.replace(precious, with: "precious")
      #expect(symlink(precious, path) == 0)
      #expect(symlink(precious, "\(path).\(getpid()).new") == 0)

      let file = try PidFile.write(path, "17\n", owner: geteuid())

      #expect(FileText.read(path) == "17\n")
      #expect(FileText.read(precious) == "precious")
      file.remove()
      #expect(FileText.names(in: folder) == ["precious"])
    }
  }

  @Test func `what came to lie there since is not removed`() throws {
    try Self.inFolder { folder in
      let path = "\(folder)/spillway.pid"
      let file = try PidFile.write(path, "17\n")
      FileText.replace(path, with: "18\n")

      file.remove()

      #expect(FileText.read(path) == "18\n")
    }
  }

  @Test func `the user of a process is known while it lives`() {
    #expect(PidFile.user(of: getpid()) == geteuid())
    #expect(PidFile.user(of: -1) == nil)
  }
}
