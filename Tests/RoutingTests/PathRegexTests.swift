import Foundation
import Testing
import Units

@testable import Routing

struct PathRegexTests {
  private func matches(_ pattern: String, _ path: String) throws -> Bool {
    let regex = try PathRegex(pattern)
    return Array(path.utf8 + [0]).withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return false }
      return regex.view.matches(base, count: bytes.count - 1)
    }
  }

  @Test(
    arguments: [
      "(a+)+$", "(a|a)*b", "(a|aa)+$", "(.*)*x", "([a-z]+)*9", "(a*)*(a*)*(a*)*b", "(a?){64}a{64}b",
    ]
  )
  func `a pattern that ruins backtrackers stays linear`(pattern: String) throws {
    let path = String(repeating: "a", count: 16_000) + "!"

    #expect(try !matches(pattern, path))
  }

  @Test func `a pattern with too many states is followed by sets of positions`() throws {
    let pattern = "(a|b)*a(a|b){14}"

    #expect(try PathRegex(pattern).automaton == nil)
    #expect(try matches(pattern, "bba" + String(repeating: "b", count: 14)))
    #expect(try !matches(pattern, "bbb" + String(repeating: "a", count: 14)))
    #expect(try !matches(pattern, ""))
    #expect(try matches(pattern, String(repeating: "ab", count: 4_000) + "a"))
  }

  @Test(
    arguments: [
      ("", 1, "empty"),
      ("/a(b", 3, "never closed"),
      ("/a)b", 3, "no ("),
      ("/a[b", 3, "never closed"),
      ("/a[]", 3, "holds nothing"),
      ("/[z-a]", 3, "lower to a higher"),
      ("/[\\d-z]", 3, "lower to a higher"),
      ("/[[:alpha:]]", 3, "named classes"),
      ("*a", 1, "nothing to repeat"),
      ("/(+a)", 3, "nothing to repeat"),
      ("/a**", 4, "after another"),
      ("/a*+", 4, "after another"),
      ("/a{2,1}", 3, "{1,2}"),
      ("/a{x}", 3, "{m,n}"),
      ("/a{,2}", 3, "{m,n}"),
      ("/a{1", 3, "{m,n}"),
      ("/a{257}", 4, "256 at most"),
      ("/a{99999999999999999999999}", 4, "256 at most"),
      ("/{", 2, "\\{"),
      ("/(a{200}){200}", 10, "512"),
      ("/((a{100}){100}){100}", 11, "512"),
      ("/(a)\\1", 5, "not understood"),
      ("/\\b", 2, "not understood"),
      ("/a\\", 3, "nothing follows"),
      ("/(?=a)", 2, "look-around"),
      ("/(?<n>a)", 2, "look-around"),
      ("/(?i)a", 2, "look-around"),
      ("/a^b", 3, "whole path"),
      ("/a$b", 3, "whole path"),
      ("/é", 2, "ASCII"),
      (String(repeating: "(", count: 40), 33, "nested"),
      (String(repeating: "a", count: 1_025), 1_025, "longer"),
      (String(repeating: "a", count: 600), 1, "512"),
      ("(a|b)*a(a|b){200}", 1, "states"),
    ]
  )
  func `a bad pattern is refused with its column`(
    pattern: String,
    column: Int,
    text: String
  ) {
    let fault = #expect(throws: RegexFault.self) { try PathRegex(pattern) }

    #expect(fault?.column == column)
    #expect(fault?.message.contains(text) == true, "\(fault?.message ?? "")")
  }

  @Test(
    arguments: [
      ("/users/\\d+", "/users/42", true),
      ("/users/\\d+", "/users/42/x", false),
      ("/users/\\d+", "x/users/42", false),
      ("^/a|/b$", "/b", true),
      ("/a|", "", true),
      ("/[^/]+/edit", "/a/edit", true),
      ("/[^/]+/edit", "/a/b/edit", false),
      ("/[a-c-]", "/-", true),
      ("/[\\]\\-x]", "/]", true),
      ("/\\.git", "/xgit", false),
      ("/.", "/\n", false),
      ("/a{0}b", "/b", true),
      ("/a{2,}", "/a", false),
      ("/a{2,}", "/aaaa", true),
      ("/(ab?){1,2}?", "/aba", true),
      ("/\\W\\S\\D", "/-xy", true),
      ("/%2[0-9A-F]", "/%2F", true),
    ]
  )
  func `the whole path must match`(pattern: String, path: String, expected: Bool) throws {
    #expect(try matches(pattern, path) == expected)
  }

  @Test func `random patterns agree with another engine`() throws {
    var random = SplitMix64(seed: 11)
    var positives = 0

    for _ in 0..<400 {
      let pattern = Self.randomPattern(depth: 3, using: &random)
      let theirs = try NSRegularExpression(pattern: "^(?:\(pattern))\\z")
      let ours = try PathRegex(pattern)
      for _ in 0..<25 {
        let length = Int.random(in: 0...6, using: &random)
        let path = String((0..<length).map { _ in "abc1/".randomElement(using: &random) ?? "a" })
        let expected =
          theirs.firstMatch(in: path, range: NSRange(0..<length)) != nil
        let actual = Array(path.utf8 + [0]).withUnsafeBufferPointer { bytes in
          bytes.baseAddress.map { ours.view.matches($0, count: length) } ?? false
        }
        positives += expected ? 1 : 0
        #expect(actual == expected, "\(pattern) on \(path)")
      }
    }
    #expect(positives > 500)
  }

  private static func randomPattern(depth: Int, using random: inout SplitMix64) -> String {
    if depth == 0 {
      return ["a", "b", "c", "/", ".", "[ab]", "[^a]", "\\d", "\\w", "1"].randomElement(
        using: &random
      ) ?? "a"
    }
    func sub() -> String { randomPattern(depth: depth - 1, using: &random) }
    switch Int.random(in: 0..<6, using: &random) {
    case 0: return sub() + sub()
    case 1: return "(?:\(sub())|\(sub()))"
    case 2: return "(?:\(sub()))" + (["*", "+", "?"].randomElement(using: &random) ?? "*")
    case 3:
      let low = Int.random(in: 0...2, using: &random)
      return "(?:\(sub())){\(low),\(low + Int.random(in: 0...2, using: &random))}"
    case 4: return sub() + sub() + sub()
    default: return sub()
    }
  }
}
