// Accounting as a router sends it: Start, Interim-Update, Stop. RFC 2866 §5, RFC 2869 §5.1 for
// Gigawords. Acknowledged means that the server has it for good (DESIGN.md, promise 3).

import { AttributeType, PacketCode } from '../../protocols/radius/packet.ts';
import type { RequestWriter } from '../../protocols/radius/request.ts';
import { writePlace } from './place.ts';
import type { Place } from './place.ts';
import type { ExchangeOutcome, RadiusClient } from './radius-client.ts';

export type AccountingReport = {
  kind: 'start' | 'interim' | 'stop';
  acctSessionId: string;
  /** Links the sessions of one device that roams. */
  multiSessionId: string;
  username: string;
  framedIpAddress: string;
  place: Place;
  /** Totals since the session began. */
  seconds: number;
  inputOctets: number;
  outputOctets: number;
  eventAtMs: number;
};

const STATUS = { start: 1, stop: 2, interim: 3 } as const;
const FRAMED_IP_ADDRESS = 8;
const ACCT_STATUS_TYPE = 40;
const ACCT_INPUT_OCTETS = 42;
const ACCT_OUTPUT_OCTETS = 43;
const ACCT_SESSION_ID = 44;
const ACCT_SESSION_TIME = 46;
const ACCT_INPUT_PACKETS = 47;
const ACCT_OUTPUT_PACKETS = 48;
const ACCT_TERMINATE_CAUSE = { type: 49, userRequest: 1 } as const;
const ACCT_MULTI_SESSION_ID = 50;
const ACCT_INPUT_GIGAWORDS = 52;
const ACCT_OUTPUT_GIGAWORDS = 53;
const EVENT_TIMESTAMP = 55;

const OCTETS_PER_PACKET = 900;

export function reportAccounting(
  client: RadiusClient,
  port: number,
  report: AccountingReport,
): Promise<ExchangeOutcome> {
  return client.exchange({
    code: PacketCode.AccountingRequest,
    port,
    write: (writer) => writeReport(writer, report),
  });
}

function writeReport(writer: RequestWriter, report: AccountingReport): void {
  writer.integer(ACCT_STATUS_TYPE, STATUS[report.kind]);
  writer.text(ACCT_SESSION_ID, report.acctSessionId);
  writer.text(ACCT_MULTI_SESSION_ID, report.multiSessionId);
  writer.text(AttributeType.UserName, report.username);
  writer.address(FRAMED_IP_ADDRESS, report.framedIpAddress);
  writer.integer(EVENT_TIMESTAMP, Math.floor(report.eventAtMs / 1000));
  writePlace(writer, report.place);
  if (report.kind === 'start') return;

  writer.integer(ACCT_SESSION_TIME, report.seconds);
  writer.integer(ACCT_INPUT_OCTETS, report.inputOctets % 2 ** 32);
  writer.integer(ACCT_INPUT_GIGAWORDS, Math.floor(report.inputOctets / 2 ** 32));
  writer.integer(ACCT_OUTPUT_OCTETS, report.outputOctets % 2 ** 32);
  writer.integer(ACCT_OUTPUT_GIGAWORDS, Math.floor(report.outputOctets / 2 ** 32));
  writer.integer(ACCT_INPUT_PACKETS, Math.ceil(report.inputOctets / OCTETS_PER_PACKET));
  writer.integer(ACCT_OUTPUT_PACKETS, Math.ceil(report.outputOctets / OCTETS_PER_PACKET));
  if (report.kind === 'stop') {
    writer.integer(ACCT_TERMINATE_CAUSE.type, ACCT_TERMINATE_CAUSE.userRequest);
  }
}
