//! A stream of values as named MessagePack, each behind its length in bytes (32 bits, the highest first).
//!
//! So nobody needs the whole stream in memory, and it can be cut into pieces that are decoded side by side.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::snapshot::SnapshotError;

/// The most bytes of one value: more than a request may bring.
const MOST: u32 = 256 << 20;
/// A piece is full with this many bytes.
const PIECE: usize = 256 << 10;
/// Pieces on their way to and from one decoder.
const DEPTH: usize = 2;
/// The most decoders.
const DECODERS: usize = 4;

/// Writes one value.
///
/// # Errors
/// When it cannot be encoded, is too long, or the sink fails.
pub(crate) fn write(sink: &mut impl Write, value: &impl Serialize) -> Result<(), SnapshotError> {
    let bytes = rmp_serde::to_vec_named(value)?;
    let failed = |error: io::Error| SnapshotError::Sink(error.to_string());
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= MOST);
    let length = length.ok_or_else(|| SnapshotError::Sink(format!("a row of {} bytes is too long", bytes.len())))?;
    sink.write_all(&length.to_be_bytes()).and_then(|()| sink.write_all(&bytes)).map_err(failed)
}

/// Reads one value.
///
/// # Errors
/// When it is cut off, damaged or not of this type, or the source fails.
pub(crate) fn read<T: DeserializeOwned>(source: &mut impl Read) -> Result<T, SnapshotError> {
    let mut bytes = Vec::new();
    match read_frame(source, &mut bytes)? {
        true => Ok(rmp_serde::from_slice(&bytes[4..])?),
        false => Err(SnapshotError::Source("it is empty".to_owned())),
    }
}

/// Reads all values until the source ends, and gives them to `take` in their order.
///
/// # Errors
/// As [`read`], and what `take` answers.
pub(crate) fn read_all<T: DeserializeOwned + Send>(
    source: &mut impl Read,
    mut take: impl FnMut(T) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    let first = read_piece(source)?;
    if first.len() < PIECE {
        return decode(&first)?.into_iter().try_for_each(take);
    }
    std::thread::scope(|scope| {
        let count = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(DECODERS);
        let decoders: Vec<Decoder<T>> = (0..count).map(|_| Decoder::start(scope)).collect();
        let (mut sent, mut taken) = (0, 0);
        let mut piece = first;
        loop {
            while sent - taken < count * DEPTH && !piece.is_empty() {
                decoders[sent % count].give(std::mem::take(&mut piece))?;
                sent += 1;
                piece = read_piece(source)?;
            }
            if sent == taken {
                return Ok(());
            }
            decoders[taken % count].take()?.into_iter().try_for_each(&mut take)?;
            taken += 1;
        }
    })
}

/// A thread that decodes pieces, one after the other; it ends when this is dropped.
struct Decoder<T> {
    pieces: SyncSender<Vec<u8>>,
    values: Receiver<Result<Vec<T>, SnapshotError>>,
}

impl<T: DeserializeOwned + Send> Decoder<T> {
    fn start<'scope>(scope: &'scope Scope<'scope, '_>) -> Decoder<T>
    where
        T: 'scope,
    {
        let (pieces, given) = sync_channel::<Vec<u8>>(DEPTH);
        let (decoded, values) = sync_channel(DEPTH);
        scope.spawn(move || {
            while let Ok(piece) = given.recv() {
                // Nobody takes it when something else went wrong.
                if decoded.send(decode(&piece)).is_err() {
                    return;
                }
            }
        });
        Decoder { pieces, values }
    }

    fn give(&self, piece: Vec<u8>) -> Result<(), SnapshotError> {
        self.pieces.send(piece).map_err(|_| Decoder::<T>::ended())
    }

    fn take(&self) -> Result<Vec<T>, SnapshotError> {
        self.values.recv().unwrap_or_else(|_| Err(Decoder::<T>::ended()))
    }

    fn ended() -> SnapshotError {
        SnapshotError::Source("the thread that decodes it has ended".to_owned())
    }
}

/// Whole values until a piece is full or the source ends; nothing at its end.
fn read_piece(source: &mut impl Read) -> Result<Vec<u8>, SnapshotError> {
    let mut piece = Vec::new();
    while piece.len() < PIECE && read_frame(source, &mut piece)? {}
    Ok(piece)
}

/// Appends the next value with its length to `bytes`; false when the source has ended.
fn read_frame(source: &mut impl Read, bytes: &mut Vec<u8>) -> Result<bool, SnapshotError> {
    let failed = |error: io::Error| SnapshotError::Source(error.to_string());
    let start = bytes.len();
    let mut append = |count: u32| source.take(u64::from(count)).read_to_end(bytes).map_err(failed);
    match append(4)? {
        0 => return Ok(false),
        4 => {}
        _ => return Err(SnapshotError::Source("it ends within the length of a row".to_owned())),
    }
    let length = bytes[start..].iter().fold(0, |length, byte| length << 8 | u32::from(*byte));
    if length > MOST {
        return Err(SnapshotError::Source(format!("it has a row of {length} bytes")));
    }
    // Room for what is there, not for what a damaged length promises.
    let found = source.take(u64::from(length)).read_to_end(bytes).map_err(failed)?;
    match found == length as usize {
        true => Ok(true),
        false => Err(SnapshotError::Source(format!("it ends within a row of {length} bytes"))),
    }
}

fn decode<T: DeserializeOwned>(piece: &[u8]) -> Result<Vec<T>, SnapshotError> {
    let mut values = Vec::new();
    let mut rest = piece;
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let value = behind.get(..length).ok_or_else(|| SnapshotError::Source("it is cut off".to_owned()))?;
        values.push(rmp_serde::from_slice(value)?);
        rest = &behind[length..];
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(values: &[String]) -> Vec<u8> {
        let mut bytes = Vec::new();
        values.iter().for_each(|value| write(&mut bytes, value).unwrap());
        bytes
    }

    fn read_back(mut bytes: &[u8]) -> Result<Vec<String>, SnapshotError> {
        let mut values = Vec::new();
        read_all(&mut bytes, |value| {
            values.push(value);
            Ok(())
        })?;
        Ok(values)
    }

    #[test]
    fn order_stays_however_many_pieces_there_are() {
        for count in [0, 1, 10, 5_000, 40_000] {
            let values: Vec<String> = (0..count).map(|number| format!("value {number:0>60}")).collect();
            assert_eq!(read_back(&stream(&values)).unwrap(), values, "{count} values");
        }
        let large = vec!["x".repeat(3 * PIECE), "y".to_owned(), "z".repeat(PIECE)];
        assert_eq!(read_back(&stream(&large)).unwrap(), large);
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_refused_wherever_it_is() {
        let values: Vec<String> = (0..20_000).map(|number| format!("value {number:0>60}")).collect();
        let whole = stream(&values);
        for end in [1, 5, PIECE - 1, whole.len() / 2 + 7, whole.len() - 1] {
            assert!(read_back(&whole[..end]).is_err(), "cut at {end}");
        }
        let mut damaged = whole.clone();
        // The first byte of a value, which says of what type it is.
        damaged[whole.len() / values.len() * 10_000 + 4] = 0xc1;
        assert!(read_back(&damaged).is_err());
        let stops = read_all(&mut &*whole, |_: String| Err(SnapshotError::Inconsistent("enough".to_owned())));
        assert!(matches!(stops, Err(SnapshotError::Inconsistent(_))), "{stops:?}");
    }
}
