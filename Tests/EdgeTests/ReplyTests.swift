import Foundation
import Testing

@testable import Edge

struct ReplyTests {
  private func text(_ replies: PreparedReplies, _ run: PreparedReplies.Run) -> String {
    let bytes = UnsafeBufferPointer(
      start: replies.memory + Int(run.offset),
      count: Int(run.count)
    )
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test(arguments: ReplyReason.allCases)
  func `each problem is a JSON document that agrees with its status line`(
    _ reason: ReplyReason
  ) throws {
    let classes = ["interactive", "batch"]
    let replies = PreparedReplies(classes: classes, configVersion: 12, answers: [])
    for place in -1..<2 {
      let reply = replies.problem(reason, className: place)
      let head = text(replies, reply.head)
      let body = text(replies, reply.bodyStart) + "abc123" + text(replies, reply.bodyEnd)
      let json = try #require(
        try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]
      )
      #expect(head.hasPrefix("HTTP/1.1 \(reply.status) "))
      #expect(head.hasSuffix("\r\n"))
      #expect(!head.contains("\r\n\r\n"))
      let before = head.utf8.prefix(Int(max(0, reply.retryAfter)))
      #expect(
        String(decoding: before, as: UTF8.self).hasSuffix("retry-after: ") == (reply.status == 503)
      )
      #expect(head.contains("content-type: application/problem+json\r\n"))
      let error = reason.wording.proxyError
      #expect(head.contains("proxy-status: ") == (error != nil))
      #expect(error.map { head.contains("proxy-status: spillway; error=\($0)\r\n") } ?? true)
      #expect(json["status"] as? Int == Int(reply.status))
      #expect(json["requestId"] as? String == "abc123")
      #expect(json["configVersion"] as? Int == 12)
      #expect(json["class"] as? String == (place < 0 ? nil : classes[place]))
      #expect(json["reason"] as? String == "\(reason.wording.token)")
    }
  }

  @Test func `tokens are told apart and every status has a phrase`() {
    let tokens = ReplyReason.allCases.map { "\($0.wording.token)" }
    #expect(Set(tokens).count == tokens.count)
    for reason in ReplyReason.allCases {
      #expect(!ReasonPhrase.text(reason.wording.status).hasPrefix("Status"))
    }
  }

  @Test func `a route's own answer is kept as it was written`() {
    let answers = [
      RouteAnswer(status: 204, fields: [], body: ""),
      RouteAnswer(status: 418, fields: [("x-a", "1"), ("x-b", "2")], body: "tea\n"),
    ]
    let replies = PreparedReplies(classes: ["only"], configVersion: 1, answers: answers)
    let reply = replies.answer(1)
    #expect(reply.isPlain)
    #expect(text(replies, reply.head) == "HTTP/1.1 418 Unused\r\nx-a: 1\r\nx-b: 2\r\n")
    #expect(text(replies, reply.bodyStart) == "tea\n")
    #expect(replies.answer(0).status == 204)
  }
}
