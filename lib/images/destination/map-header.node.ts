/** Headers of map states as bytes and back, with the digest that seals them. */
import {
  type DecodedMapHeader,
  decodeMapHeader,
  encodeMapHeader,
  type MapHeader,
} from '../../../formats/map-state.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';

/** For checksums of states and journals. */
export const SHA256 = createBlockDigest('sha256');

const TOOLS = {
  sha256: SHA256,
  utf8: (text: string) => new Uint8Array(Buffer.from(text)),
  text: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
};

export function encodeHeader(header: MapHeader): Uint8Array {
  return encodeMapHeader(header, TOOLS);
}

/** @throws FormatError */
export function decodeHeader(bytes: Uint8Array): DecodedMapHeader {
  return decodeMapHeader(bytes, TOOLS);
}
