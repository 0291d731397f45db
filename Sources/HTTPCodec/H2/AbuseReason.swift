/// What a peer did too often, each with a budget of its own.
///
/// Every case is a reason for metrics.
public enum AbuseReason: UInt8, CaseIterable, Equatable, Sendable, BitwiseCopyable {
  /// Streams opened and reset at once (CVE-2023-44487), and RST_STREAM as such (CVE-2019-9514).
  case rapidReset
  /// Streams that we had to reset or refuse (CVE-2025-8671, "MadeYouReset").
  case provokedReset
  /// CONTINUATION frames of one field section (CVE-2024-27316 and its kin).
  case continuationFlood
  /// Fields past the bound of a list, or long lists again and again: HPACK bombs and table thrash.
  case fieldFlood
  /// PING (CVE-2019-9512).
  case pingFlood
  /// SETTINGS (CVE-2019-9515).
  case settingsFlood
  /// PRIORITY and PRIORITY_UPDATE (CVE-2019-9513).
  case priorityFlood
  /// Frames that carry nothing (CVE-2019-9518, CVE-2019-9516).
  case emptyFrameFlood
  /// DATA frames that carry fewer bytes than their own header has, and end nothing.
  case tinyFrameFlood
  /// WINDOW_UPDATE, windows opened by a few bytes at a time among them (CVE-2019-9511).
  case windowUpdateFlood
  /// Frames of unknown type, and GOAWAY.
  case unknownFrameFlood
  /// Frames that wait to be sent to a peer that does not read (CVE-2019-9517).
  case unreadOutput
  /// Bodies that a peer asked for and opens no window for, while memory is short (CVE-2019-9517).
  case heldBodies

  /// A name for metrics and logs, in kebab case.
  public var reason: StaticString {
    switch self {
    case .rapidReset: "rapid-reset"
    case .provokedReset: "provoked-reset"
    case .continuationFlood: "continuation-flood"
    case .fieldFlood: "field-flood"
    case .pingFlood: "ping-flood"
    case .settingsFlood: "settings-flood"
    case .priorityFlood: "priority-flood"
    case .emptyFrameFlood: "empty-frame-flood"
    case .tinyFrameFlood: "tiny-frame-flood"
    case .windowUpdateFlood: "window-update-flood"
    case .unknownFrameFlood: "unknown-frame-flood"
    case .unreadOutput: "unread-output"
    case .heldBodies: "held-bodies"
    }
  }
}
