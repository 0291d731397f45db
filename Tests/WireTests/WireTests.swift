import Testing

/// The edge judged from its sockets, by clauses of the RFCs and by the attacks it must withstand.
///
/// One test runs at a time: the tests block their thread, and more than one of them would starve
/// the cooperative pool that the edge's own slow plane runs on.
@Suite(.serialized, .enabled(if: EdgeUnderTest.isAvailable))
enum WireTests {}
