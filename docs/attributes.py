"""What attributes are that have no docstring of their own: for the reference, by class and name.

A pair is a type and a text, of an attribute that only objects have and not their class. Of two
classes that have one name each has its module in front.
"""

from __future__ import annotations

ATTRIBUTES: dict[str, dict[str, str | tuple[str, str]]] = {
    # messages, tables
    "Batch": {
        "frame_count": "How many frames were given.",
        "left_over_bytes": (
            "Bytes after the last element of messages whose sender has no newer schema: nothing "
            "says what they are."
        ),
        "losses": "Parts of packets and captures that are in no frame: a `Loss` each.",
    },
    "Table": {
        "message": "The class of the messages in this table.",
        "records": (
            "A structured numpy array with one row for each message. Prices are mantissas, and "
            "nulls are the null values of the schema."
        ),
    },
    "GroupTable": {
        "offsets": "int64: the entries of row `i` are `records[offsets[i]:offsets[i + 1]]`.",
        "records": (
            "A structured numpy array with one row for each entry of the group, of all messages."
        ),
    },
    "DataTable": {
        "content": "The bytes of all rows, one after the other, as uint8.",
        "offsets": "int64: the bytes of row `i` are `content[offsets[i]:offsets[i + 1]]`.",
    },
    "DispatchedBatch": {
        "batches": "The `Batch` of each module.",
        "frame_count": "How many frames were given.",
        "losses": "Parts of packets and captures that are in no frame: a `Loss` each.",
        "unknown": "Errors of the frames for which there is no module.",
    },
    "Header": {
        "block_length": "The length of the block in this message, in bytes.",
        "schema_id": "The id of the schema.",
        "template_id": "Which kind of message it is.",
        "version": "The version of the sender's schema.",
    },
    # order books
    "OrderBook": {
        "absent": "How many removals were of levels that were not in the book.",
        "applied": "How many diffs were applied.",
        "ignored": "How many diffs were left out, since they are older than the book.",
        "max_buffer": "How many diffs are kept while the book waits for a snapshot.",
        "max_levels": "How many levels each side keeps.",
        "on_error": (
            'Whether a check that fails raises BookError ("raise") or only makes the book stale '
            '("mark").'
        ),
        "overlaps": "How many diffs began before the update id of the book and ended after it.",
        "price_exponent": (
            "The exponent of all prices of the book: the value is mantissa × 10^exponent."
        ),
        "pruned": "How many levels were dropped, since there were more than `max_levels`.",
        "qty_exponent": "The exponent of all quantities of the book.",
        "snapshots": "How many snapshots were applied.",
        "symbol": "The symbol, in upper case.",
    },
    "LiveBook": {
        "audit": ("Audit", "How the book compared with what the exchange says of it."),
        "since_ns": ("int", "Since when `state` is what it is, ns since 1970."),
    },
    "Audit": {
        "agreed": "How many of the compared levels were the same.",
        "checks": "How often the book was compared.",
        "failures": (
            "How many checks found a level that was not the same. After each of them the book was "
            "made anew."
        ),
        "last_ns": "When it was compared last, ns since 1970; None if it never was.",
        "levels": "How many levels were compared.",
        "snapshots": (
            "How many of the checks were with a fresh snapshot; the others were with depth20."
        ),
    },
    "Levels": {
        "price_exponent": "The exponent of the prices; None of a slice of such an array.",
        "proven": (
            "How many of the rows, from the first on, are known to have no level missing between "
            "them; None of a slice of such an array."
        ),
        "qty_exponent": "The exponent of the quantities; None of a slice of such an array.",
    },
    "Level": {
        "price": ("int", "The price, as a mantissa."),
        "qty": ("int", "The quantity, as a mantissa."),
    },
    "FloatLevel": {
        "price": "The price.",
        "qty": "The quantity that is offered there.",
    },
    "Comparison": {
        "agreed": ("int", "How many of them were the same."),
        "levels": ("int", "How many levels were compared."),
    },
    # feeds
    "Ledger": {
        "connections": (
            "list[ConnectionRecord]",
            "The connections that are open, and the latest 500 that ended.",
        ),
        "connections_count": ("int", "How many connections there were."),
        "damaged": "Frames that were no message: the latest 1,000, and 4 MiB of them at most.",
        "damaged_count": "How many frames were no message.",
        "dropped": (
            "int",
            "How many events were dropped for a slow consumer. Each of them is in a hole as well.",
        ),
        "ended_count": ("int", "How many connections have ended."),
        "gaps": (
            "list[Gap]",
            "When events without ids may have been missed: of FIX and user data.",
        ),
        "holes": ("list[Hole]", "What is missing: the latest 100,000 holes."),
        "holes_count": (
            "int",
            "How many holes there were, with those that late events have filled.",
        ),
        "newer_versions": (
            "How many messages came of each version that is newer than the schema here."
        ),
        "strays": (
            "Events of streams that nobody has subscribed to, by the names of the first 100 such "
            "streams."
        ),
        "strays_count": "How many events came of streams that nobody has subscribed to.",
        "streams": "The counters of each stream, by its name.",
        "unknown_templates": (
            "How many messages came of each template id that the schema does not have."
        ),
    },
    "Hole": {
        "cause": "Why they are missing, in words.",
        "ended_ns": "When the event after the hole arrived, ns since 1970.",
        "filled": "How many trades of it REST has brought later (`Feed.fill_trades`).",
        "first_after": "The first id after it, which is not missing.",
        "last_before": "The last id before it, which is not missing.",
        "number": "Its number in the ledger, from 1 on.",
        "started_ns": "When the event before the hole arrived, ns since 1970.",
        "stream": "The name of the stream, such as `btcusdt@trade`.",
    },
    "Stream": {
        "cause": (
            "The cause that a hole would have if the next ids are missing, such as the loss of a "
            "connection; None if nothing has happened."
        ),
        "culled": (
            "How many gaps in the ids of `bestBidAsk` and `depth20` are there because the exchange "
            "left events out; these are no losses."
        ),
        "dropped": "How many events were dropped for a slow consumer.",
        "duplicates": (
            "How many events were dropped, since they had been handed on before, or newer prices "
            "had replaced them."
        ),
        "frames": "How many events were handed on.",
        "heard": "When the last event that was handed on arrived: ns of the monotonic clock.",
        "kind": "The kind of stream: `trade`, `bestBidAsk`, `depth20` or `depth`.",
        "last": "The id up to which events were handed on; -2**63 before the first.",
        "late": (
            "How many events were handed on after later ones. Their ids are in no hole any more."
        ),
        "lost": "How many ids are in holes (of `trade` and `depth`).",
        "name": "Its name, such as `btcusdt@trade`.",
        "out_of_order": (
            "How many events came again, or with lower ids, on one and the same connection."
        ),
        "overlaps": "How many diffs begin before the last one ends, and end after it.",
        "received": "When the last event that was handed on arrived, ns since 1970.",
    },
    "Source": {
        "bytes": "How many bytes of frames came through it.",
        "damaged": "How many frames came through it that were no message.",
        "delay": (
            "From the exchange's time of the latest event to its arrival here, ns. Two clocks are "
            "compared."
        ),
        "duplicates": "How many events it brought that another connection had brought before.",
        "frames": "How many frames came through it.",
        "gone": "Whether the feed is done with it: what still comes through it is not used.",
        "lag": (
            "How long before, in ns, another connection had brought what this one brought as well."
        ),
        "name": "The name of the connection.",
        "number": "The number of the connection in its feed, from 1 on.",
        "received": "When something came through it last, ns since 1970.",
        "unwanted": "How many frames came after the feed was done with the connection.",
        "won": "How many events it brought first.",
    },
    "Damaged": {
        "connection": "The name of the connection that it came through.",
        "frame": "The bytes as they came: the first 64 KiB.",
        "received_ns": "When it arrived, ns since 1970.",
    },
    "ConnectionRecord": {
        "bytes": "How many bytes of frames came through it.",
        "cause": "Why it ended, in words; None while it is open.",
        "closed_ns": "When it ended, ns since 1970; None while it is open.",
        "frames": "How many frames came through it.",
        "name": "Its name in logs and in the ledger.",
        "opened_ns": "When it was opened, ns since 1970.",
        "source": "What it contributed to the feed.",
    },
    "FilledTrades": {
        "hole": "The hole that these trades are missing in.",
        "price_exponent": "The exponent of the prices in `trades`.",
        "qty_exponent": "The exponent of the quantities in `trades`.",
        "response": "The whole answer of REST, which may have trades beyond the hole.",
        "symbol": "The symbol.",
        "trades": (
            "A structured numpy array: id, price, qty, quote_qty, time (µs since 1970), "
            "is_buyer_maker, is_best_match."
        ),
    },
    "Stats": {
        "bytes": "How many bytes the binary frames have, without the headers of WebSocket.",
        "decoded_to_handed_over": "From decoding until iteration gives the batch, ns.",
        "decoding": "How long decoding takes, ns a message.",
        "event_to_received": (
            "From the exchange's time of the event to its arrival here, ns. Two clocks are "
            "compared."
        ),
        "frames": "How many binary frames came.",
        "left_over_bytes": (
            "Bytes after the last element of messages whose sender has no newer schema."
        ),
        "played_ns": "Of a tape that is played: its time, ns since 1970. 0 for a live feed.",
        "received_to_decoded": (
            "From the arrival until a message is decoded, the wait in the queue included, ns."
        ),
        "rejected": "How many frames were no message.",
        "texts": "How many text frames came: replies and notices of the exchange.",
    },
    "Histogram": {
        "count": "How many durations were counted.",
        "max": "The longest, in ns, exact.",
        "negative": (
            "How many were below 0, which happens between two clocks. They are counted as 0."
        ),
        "p50": "The median in ns: half of the durations do not exceed it.",
        "p99": "The duration in ns that 99 % do not exceed.",
    },
    # REST, the WebSocket API, FIX
    "Precision": {
        "price_places": "How many digits after the point a price has.",
        "qty_places": "How many digits after the point a quantity has.",
        "step_size": "The step of quantities; None if the exchange sets none.",
        "tick_size": "The step of prices; None if the exchange sets none.",
    },
    "RateLimit": {
        "current": "How much of it is used.",
        "interval": "The unit of the time that it is about, such as a minute.",
        "interval_num": "How many of these units the time is long.",
        "limit": "How much is allowed in this time.",
        "type": "What is limited: the weight of requests, say, or orders.",
    },
    "Reply": {
        "deprecated": "Whether the exchange wants a newer version of the schema to be asked for.",
        "id": "The id of the request that this answers; None of an event.",
        "message": "The message in it; None if a reply has none.",
        "rate_limits": "How much of each limit is used.",
        "status": "The status of the reply, as in HTTP: 200 is success. None of an event.",
    },
    "Gap": {
        "cause": "Why, in words.",
        "ended_ns": "Until when events may have been missed, ns since 1970.",
        "started_ns": "From when on events may have been missed, ns since 1970.",
    },
    "binance_sbe.api.fix_session.Session": {
        "api_key": "The API key, in an object that does not show it where it is printed.",
    },
    "Now": {
        "micros": "µs since 1970.",
        "seconds": "Seconds of a clock that never goes back.",
    },
    "BlockingConnection": {
        "ledger": "The account of what is missing.",
        "repeated": "How many increments were dropped, since they had come before.",
        "sessions_count": "How many sessions were opened.",
        "streams": "What is subscribed to: symbols and kinds.",
        "timeout": (
            "float | None",
            "How many seconds iteration waits for the next message; None: for ever.",
        ),
    },
    "Lifecycle": {
        "environment": "The environment of the exchange that it is about.",
        "problems": "What was wrong with the file that it was read from.",
        "releases": "The versions of schemas, the newest first.",
    },
    "Release": {
        "deprecated": (
            "The date from which on it is deprecated, as `YYYY-MM-DD`; None if none is known."
        ),
        "id": "The id of the schema.",
        "released": "The date on which it was released, as `YYYY-MM-DD`.",
        "retired": "The date from which on it is not served any more; None if none is known.",
        "version": "The version of the schema.",
    },
    "Exchange": {
        "conflated": (
            "How many messages were left out for slow clients, since a newer one had replaced them."
        ),
    },
    # byte streams, packets, captures
    "Splitter": {
        "head_size": "How many bytes are in front of each message, which say how long it is.",
    },
    "LengthSplitter": {
        "head_size": ("int", "How many bytes the length in front of each message has."),
    },
    "PacketLayout": {
        "byte_order": '`"little"` or `"big"`, of all numbers.',
        "count": "Offset and size of the number of messages; None if packets do not have it.",
        "header": "How many bytes are in front of the first message.",
        "length": (
            "Offset and size of a message's length in its framing; None if messages lie end to end."
        ),
        "length_includes_header": "Whether that length counts the `message_header` too.",
        "message_header": "How many bytes of framing are in front of each message.",
        "sequence": "Offset and size of the packet's number; None if packets do not have it.",
        "time": "Offset and size of the time it was sent; None if packets do not have it.",
        "time_unit": 'The unit of that time: `"s"`, `"ms"`, `"us"` or `"ns"` since 1970.',
    },
    "Datagram": {
        "address": "The IP address that it was sent to.",
        "number": "The index of its packet in the capture, from 0 on.",
        "payload": "Its bytes, as a view of the capture.",
        "port": "The port that it was sent to.",
        "received_ns": "When it was captured, ns since 1970; 0 if the capture does not say it.",
        "source": "The IP address that it came from.",
        "source_port": "The port that it came from.",
    },
    "Loss": {
        "offset": "Where in the packet the lost bytes begin.",
        "packet": "The index of the packet in the input; None if the file itself is damaged.",
        "size": "How many bytes are lost.",
        "why": "Why, in words.",
    },
    # tapes
    "Recorder": {
        "failure": "Why nothing can be written now, in words; None if it can.",
        "frames": "How many frames came to it.",
        "lag_ns": (
            "How long, in ns, the disk was behind when the last batch was written, or is while it "
            "writes one."
        ),
        "lost_frames": (
            "How many frames are not on the tape and never will be, since the disk could not take "
            "them."
        ),
        "path": ("Path", "The directory of the recording."),
        "written_bytes": "How many bytes the files have.",
        "written_frames": "How many frames are written.",
    },
    "Recording": {
        "batch_rows": "A batch is written when it has so many rows.",
        "batch_seconds": "A batch is written after so many seconds at the latest.",
        "compression": '`"zstd"`, `"lz4"`, or None for files without compression.',
        "directory": "`path`, as a Path.",
        "durability": (
            'When what was written is synchronised with the disk: `"batch"`, after each batch; '
            '`"os"`, when the operating system does it; or after so many seconds at the latest.'
        ),
        "memory_limit": "How many bytes may wait for the disk. What comes then is not recorded.",
        "min_free": "With fewer bytes free on the disk nothing is written.",
        "on_failure": (
            'What happens when the disk fails: the feed goes on (`"continue"`), or ends '
            '(`"raise"`).'
        ),
        "path": "The directory to record into.",
        "rotate_bytes": "A new file begins before a file grows beyond so many bytes.",
        "rotate_seconds": "A new file begins at each full multiple of so many seconds, UTC.",
    },
    "Report": {
        "frames_good": "How many frames are as they were written.",
        "frames_lost": "How many frames are gone; None if nobody knows.",
        "is_whole": "Whether nothing is wrong.",
        "problems": (
            "What is wrong: a sentence for each place, which begins with the name of the file."
        ),
    },
    "Tape": {
        "damage": (
            "deque[Damage | TapeError]",
            "What reading has passed over, the latest 1,000: damage between batches, and the error "
            'of each batch that was left out with `on_damage="skip"`.',
        ),
        "errors": (
            "deque[DecodeError]",
            'Frames that are no messages, of `messages(on_error="collect")`: the latest 1,000.',
        ),
        "paths": ("list[Path]", "What was given."),
    },
    "TapeLedger": {
        "breaks": ("list[Break]", "The times of which the tape does not have everything."),
        "connections": ("list[TapeConnection]", "The connections of the feeds that were recorded."),
        "dropped": (
            "int",
            (
                "How many events the consumer of the recorded feed was too slow for. They are on "
                "the tape."
            ),
        ),
        "holes": (
            "list[Hole]",
            "What is missing: the holes that the feed has seen, and those that the breaks make.",
        ),
        "marks": (
            "list[tuple[int, str]]",
            "Texts of the user on the tape, each with its time in ns since 1970.",
        ),
        "sessions": ("list[Session]", "The runs of recorders that have written the tape."),
        "snapshots": ("int", "How many snapshots of order books are on the tape."),
        "streams": "How much there is of each stream, by its name.",
    },
    "binance_sbe.tape.account.Session": {
        "end_ns": "The time of its last row, ns since 1970.",
        "files": "The names of its files.",
        "frames": "How many frames it has.",
        "host": "The URL of the exchange, without a key.",
        "is_closed": (
            "Whether the recorder ended in order. If not, it was killed, or is still writing."
        ),
        "recording": "The identification of the recorder: 32 hexadecimal digits.",
        "start_ns": "The time of its first row, ns since 1970.",
    },
    "Break": {
        "cause": "Why, in words.",
        "ended_ns": "When it ends, ns since 1970.",
        "frames": "How many frames are missing; None if nobody knows.",
        "started_ns": "When it begins, ns since 1970.",
    },
    "TapeConnection": {
        "cause": "Why it ended, in words; None if the tape does not have its end.",
        "closed_ns": "When it ended, ns since 1970; None if the tape does not have its end.",
        "name": "Its name.",
        "opened_ns": "When it was opened, ns since 1970.",
    },
    "StreamAccount": {
        "frames": (
            "How many events are on the tape; an event that two connections brought counts twice."
        ),
        "holes": "How many holes there are.",
        "ids": "How many ids are in these holes.",
    },
    "Damage": {
        "begin": "Where in the file the damaged bytes begin.",
        "end": "Where they end.",
        "file": "The name of the file.",
        "frames": "How many frames are lost with it; None if nobody knows.",
        "rows": "How many rows are lost with it; None if nobody knows.",
        "why": "What is wrong, in words.",
    },
    # archives
    "Manifest": {
        "book_rows": "How many rows of the kept book there are.",
        "damage": "A sentence for each part of the tapes that is damaged.",
        "failures": "Units of work that were not converted, each with the reason.",
        "files": "The paths of all files, relative to `url`.",
        "frames": "How many frames were read.",
        "missing": "Units of work that are not done yet, by name.",
        "options": "The options that the archive was made with.",
        "others": (
            "The paths of files that are no rows of events: of holes, of sessions, or of a tool."
        ),
        "records": "What came of each unit of work.",
        "remarks": "What is to be known of files that are whole.",
        "seams": (
            "Where ids do not go on from one file to the next, although no tape has a hole there."
        ),
        "url": "Where the archive is: a path or a URL.",
    },
    "Record": {
        "duplicates": "How many events had come before by another connection, by kind.",
        "first": "The first batch of the file that it is about.",
        "first_ns": "The time of its first row, ns since 1970.",
        "frames": "How many frames were read.",
        "last": "The batch of the file before which it ends.",
        "mark": "An abbreviation of its batches, and of what the account says of their time.",
        "options": "An abbreviation of the options that it was made with.",
        "parts": "The files that were written.",
        "problems": "What is not in the archive, in sentences.",
        "recording": "The identification of the recorder that wrote the tape.",
        "rejected": "How many frames were no message.",
        "run_up": "How many batches before it were read, to know what came before.",
        "tape": "The path of the file of the tape.",
        "unit": "The name of the unit of work.",
    },
    "Part": {
        "date": "The day, in UTC, by the exchange's clock.",
        "events": "How many events it has; of books an event may be several rows.",
        "flagged": "Before how many of these events ids are missing.",
        "kind": "What its rows are, such as `trade`.",
        "path": "Its path in the archive.",
        "rows": "How many rows it has.",
        "symbols": (
            "By symbol: rows, first id, last id, and the time of the first arrival (ns since 1970)."
        ),
    },
    "Seam": {
        "after": "The path of the file after it.",
        "before": "The path of the file before it.",
        "first_after": "The first id after it.",
        "is_overlap": "Whether ids come again. If not, ids are missing.",
        "kind": "The kind of rows, such as `trade`.",
        "last_before": "The last id before it.",
        "symbol": "The symbol.",
    },
}
