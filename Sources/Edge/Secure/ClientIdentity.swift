internal import TLS
internal import Telemetry

/// Who a client is by its certificate, which was verified; made once, when its handshake is over.
///
/// One that resumes a session is who it was when that began.
final class ClientIdentity {
  let peer: PeerIdentity
  /// The subject, as the access log wants it for every request.
  let subject: [UInt8]
  /// The alternative names, each with its kind in front and a line feed between two; certificates
  /// with more than fits a field of the log lose the last ones, and none is cut.
  let names: [UInt8]

  init(_ peer: PeerIdentity) {
    self.peer = peer
    subject = Array(peer.subject.utf8)
    let kinds = [
      ("DNS", peer.dnsNames), ("URI", peer.uris), ("email", peer.emails), ("IP", peer.addresses),
    ]
    var names: [UInt8] = []
    for (kind, values) in kinds {
      for value in values {
        let entry = Array((names.isEmpty ? "" : "\n").utf8) + Array("\(kind):\(value)".utf8)
        guard names.count + entry.count <= AccessLogRing.maximumFieldLength else { continue }
        names += entry
      }
    }
    self.names = names
  }
}
