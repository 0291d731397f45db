import Routing
import Testing
import Units

struct PathNormaliserTests {
  @Test(
    arguments: [
      ("/..", PathFault.aboveRoot),
      ("/../etc/passwd", .aboveRoot),
      ("/a/../../etc/passwd", .aboveRoot),
      ("/%2e%2e/etc/passwd", .aboveRoot),
      ("/.%2E/etc/passwd", .aboveRoot),
      ("/a/%2e./.%2e/b", .aboveRoot),
      ("/./..", .aboveRoot),
      ("//..", .aboveRoot),
      ("/..%2fetc", .encodedSlash),
      ("/a%2Fb", .encodedSlash),
      ("/a\\b", .backslash),
      ("/..\\b", .backslash),
      ("/a%5cb", .backslash),
      ("/a%5Cb", .backslash),
      ("/a%00", .encodedControlCharacter),
      ("/a%0d%0ax-evil:1", .encodedControlCharacter),
      ("/a%7f", .encodedControlCharacter),
      ("/a\u{1}", .controlCharacter),
      ("/a\u{7f}", .controlCharacter),
      ("/a\u{0}", .controlCharacter),
      ("/a%", .badEscape),
      ("/a%2", .badEscape),
      ("/a%zz", .badEscape),
      ("/a%2g", .badEscape),
      ("/a%u002e", .badEscape),
      ("/café", .nonASCII),
      ("/a b", .invalidCharacter),
      ("/a#b", .invalidCharacter),
      ("/a?b", .invalidCharacter),
      ("/%c0%af", .overlongEncoding),
      ("/%c0%ae%c0%ae/", .overlongEncoding),
      ("/%C1%9c", .overlongEncoding),
      ("/%e0%80%af", .overlongEncoding),
      ("/%f0%80%80%af", .overlongEncoding),
      ("/admin/..;/secret", .disguisedDotSegment),
      ("/admin/..;x=1/secret", .disguisedDotSegment),
      ("/%2e%2e;/secret", .disguisedDotSegment),
      ("/.;/secret", .disguisedDotSegment),
      ("/a/..;", .disguisedDotSegment),
      ("a/b", .notAbsolute),
      ("http://a/", .notAbsolute),
      ("%2fa", .notAbsolute),
      ("**", .notAbsolute),
    ]
  )
  func `an attack is refused with its reason`(path: String, fault: PathFault) {
    #expect(throws: fault) { try PathNormaliser.normalised(path) }
  }

  @Test(
    arguments: [
      ("", "/"),
      ("*", "*"),
      ("/", "/"),
      ("/.", "/"),
      ("/a/.", "/a/"),
      ("/a/..", "/"),
      ("/a/b/..", "/a/"),
      ("/a/b/../", "/a/"),
      ("/a/./b", "/a/b"),
      ("/a/b/c/./../../g", "/a/g"),
      ("/a/%2e%2E/b", "/b"),
      ("/...", "/..."),
      ("/a../b", "/a../b"),
      ("/..a", "/..a"),
      ("/.well-known/x", "/.well-known/x"),
      ("//", "/"),
      ("//a///b//", "/a/b/"),
      ("/a//../b", "/b"),
      ("/a/.//b", "/a/b"),
      ("/%7euser/%41", "/~user/A"),
      ("/%252e%252e%252fx", "/%252e%252e%252fx"),
      ("/a%3ab%3Ac", "/a%3Ab%3Ac"),
      ("/caf%c3%a9", "/caf%C3%A9"),
      ("/%c0x", "/%C0x"),
      ("/a;v=1/b;c", "/a;v=1/b;c"),
      ("/a;..", "/a;.."),
      ("/12345678/12345678%20", "/12345678/12345678%20"),
    ]
  )
  func `a path has one spelling`(path: String, normal: String) throws {
    #expect(try PathNormaliser.normalised(path) == normal)
  }

  @Test func `repeated slashes follow the policy`() throws {
    let keep = PathPolicy(repeatedSlashes: .keep)
    let refuse = PathPolicy(repeatedSlashes: .refuse)

    #expect(try PathNormaliser.normalised("/a//b", policy: keep) == "/a//b")
    #expect(try PathNormaliser.normalised("/a//../b", policy: keep) == "/a/b")
    #expect(throws: PathFault.repeatedSlash) {
      try PathNormaliser.normalised("/a//b", policy: refuse)
    }
    #expect(try PathNormaliser.normalised("/a/", policy: refuse) == "/a/")
  }

  @Test func `a kept encoded slash never hides a dot segment`() throws {
    let keep = PathPolicy(encodedSlash: .keep)

    #expect(try PathNormaliser.normalised("/a%2fb", policy: keep) == "/a%2Fb")
    #expect(try PathNormaliser.normalised("/a%2fb/../c", policy: keep) == "/c")
    for path in ["/..%2fa", "/a/..%2f", "/a%2f..", "/a%2f../b", "/a%2f.%2fb", "/%2e%2e%2fa"] {
      #expect(throws: PathFault.disguisedDotSegment) {
        try PathNormaliser.normalised(path, policy: keep)
      }
    }
  }

  @Test func `a clean path is reported unchanged and needs no room`() {
    var out: UInt8 = 0
    let outcome = Array("/v1/orders/42.json;a=b".utf8).withUnsafeBufferPointer { path in
      path.baseAddress.map {
        PathNormaliser.normalise($0, count: path.count, into: &out, capacity: 0)
      }
    }

    #expect(outcome == .unchanged)
  }

  @Test func `a path that would not fit is refused, not cut`() {
    var out: (UInt8, UInt8) = (0, 7)
    let outcome = Array("/a/../b".utf8).withUnsafeBufferPointer { path in
      path.baseAddress.map {
        PathNormaliser.normalise($0, count: path.count, into: &out.0, capacity: 1)
      }
    }

    #expect(outcome == .refused(.tooLong))
    #expect(out.1 == 7)
  }

  @Test func `normalising twice changes nothing, whatever the bytes`() {
    var random = SplitMix64(seed: 7)
    let alphabet = [
      "/", "/", ".", "%2e", "%2E", "%2f", "a", ";", "%41", "%c3", "%ff", "//", "..", "%25", "b",
    ]
    var accepted = 0

    for _ in 0..<30_000 {
      let pieces = (0..<Int.random(in: 0..<12, using: &random)).map { _ in
        alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
      }
      let path = "/" + pieces.joined()
      let slashes = PathPolicy.RepeatedSlashes.allCases[Int.random(in: 0..<3, using: &random)]
      let encoded = PathPolicy.EncodedSlash.allCases[Int.random(in: 0..<2, using: &random)]
      let policy = PathPolicy(repeatedSlashes: slashes, encodedSlash: encoded)
      guard let once = try? PathNormaliser.normalised(path, policy: policy) else { continue }
      accepted += 1

      let segments = once.split(separator: "/")
      let twice = try? PathNormaliser.normalised(once, policy: policy)

      #expect(twice == once, "\(path)")
      #expect(!segments.contains(".") && !segments.contains(".."), "\(path) -> \(once)")
      #expect(once.utf8.count <= path.utf8.count && once.hasPrefix("/"), "\(path) -> \(once)")
    }
    #expect(accepted > 5_000)
  }

  @Test func `the reasons are distinct`() {
    #expect(Set(PathFault.allCases.map { "\($0.reason)" }).count == PathFault.allCases.count)
  }
}
