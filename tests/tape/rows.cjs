// Prints the rows of a tape as Arrow's reader for JavaScript has them: node rows.cjs FILE
const fs = require("fs");
const arrow = require("apache-arrow");
const fzstd = require("fzstd");

// A copy of what is unpacked, since that has to begin at a multiple of eight bytes.
const decode = (data) => Uint8Array.from(fzstd.decompress(data));
arrow.compressionRegistry.set(arrow.CompressionType.ZSTD, { decode });
const table = arrow.tableFromIPC(fs.readFileSync(process.argv[2]));
const version = table.schema.metadata.get("tape.version");
const rows = [];
for (const row of table) {
    rows.push([String(row.received_ns), row.connection, row.kind, Buffer.from(row.frame).toString("hex")]);
}
console.log(JSON.stringify({ version, rows }));
