import Foundation
import Testing

@testable import Edge

/// How much memory is in use, out of the kernel's files.
struct MemoryUseTests {
  private final class Stage {
    let folder = "/tmp/spillway-groups-\(UInt32.random(in: 0 ... .max))"

    init(_ files: [String: String]) throws {
      for (name, text) in files {
        let path = "\(folder)/\(name)"
        let parent = (path as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(
          atPath: parent,
          withIntermediateDirectories: true
        )
        try text.write(toFile: path, atomically: true, encoding: .utf8)
      }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    var share: Double {
      MemoryUse(
        process: folder + "/self",
        groups: folder + "/groups",
        machine: folder + "/meminfo"
      ).share
    }
  }

  private static let page = Double(sysconf(Int32(_SC_PAGESIZE)))

  @Test func `every group that bounds the process counts, the fullest most`() throws {
    let stage = try Stage([
      "self/cgroup": "1:name=systemd:/x\n0::/slice/unit\n",
      "groups/slice/memory.max": "1000\n", "groups/slice/memory.current": "900\n",
      "groups/slice/unit/memory.max": "1000\n", "groups/slice/unit/memory.current": "100\n",
      "groups/memory.max": "max\n", "groups/memory.current": "5000\n",
    ])

    #expect(stage.share == 0.9)
  }

  @Test func `what the kernel can take back is not in use`() throws {
    let stage = try Stage([
      "self/cgroup": "0::/\n", "groups/memory.max": "1000\n", "groups/memory.current": "950\n",
      "groups/memory.stat":
        "anon 300\nfile 500\nsock 50\nactive_file 300\ninactive_file 200\nslab_reclaimable 50\n",
    ])

    #expect(stage.share == 0.4)
  }

  @Test func `without a bound it is the share of the machine that is resident`() throws {
    let kibibytes = Int(Self.page * 1_000 / 1_024)
    let stage = try Stage([
      "self/cgroup": "0::/\n", "self/statm": "900 250 10 1 0 1 0\n",
      "meminfo": "MemFree: 1 kB\nMemTotal:       \(kibibytes) kB\n", "groups/memory.max": "max\n",
      "groups/memory.current": "10\n",
    ])

    #expect(stage.share == 0.25)
  }

  @Test(arguments: [
    [:], ["self/cgroup": "0::/../..\n"], ["self/cgroup": ""],
    ["self/cgroup": "0::/a\n", "groups/a/memory.max": "0\n", "groups/a/memory.current": "1\n"],
    ["self/cgroup": "0::/a\n", "groups/a/memory.max": "x\n", "groups/a/memory.current": "1\n"],
    ["self/cgroup": "0::/a\n", "groups/a/memory.max": "100\n"],
    ["self/statm": "1 x\n", "meminfo": "MemTotal: 5 kB\n"],
    ["self/statm": "1 1\n", "meminfo": "MemTotal: 0 kB\n"], ["self/statm": "", "meminfo": "\n"],
  ])
  func `what cannot be read is no pressure`(_ files: [String: String]) throws {
    #expect(try Stage(files).share == 0)
  }

  @Test func `more than there is counts as all, less than nothing as none`() throws {
    let full = try Stage([
      "self/cgroup": "0::/\n", "groups/memory.max": "10\n", "groups/memory.current": "50\n",
    ])
    let odd = try Stage([
      "self/cgroup": "0::/\n", "groups/memory.max": "10\n", "groups/memory.current": "5\n",
      "groups/memory.stat": "inactive_file 9\n",
    ])

    #expect(full.share == 1)
    #expect(odd.share == 0)
  }

  @Test func `a path that goes down for ever is followed for a while only`() throws {
    let deep = String(repeating: "/a", count: 1_000)

    #expect(try Stage(["self/cgroup": "0::\(deep)\n"]).share == 0)
  }

  @Test func `this process uses some of this machine`() {
    #expect((0.000_001..<1).contains(MemoryUse().share))
  }
}
