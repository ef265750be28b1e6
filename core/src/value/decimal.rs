//! Numbers by their exact decimal value, of any size, without floats or integer types.

/// An exponent with more digits than this could overflow a machine integer when the shift is added.
const LONG_EXPONENT: usize = 18;

/// Writes the canonical form of a JSON number: `0`, or the sign, the digits without zeros at either end, `e`, and the
/// power of ten by which they are multiplied. `written` follows the grammar of JSON. It needs memory for the digits
/// only, however large the exponent is.
pub(super) fn write(written: &str, out: &mut Vec<u8>) {
    let (mantissa, exponent) = written.split_once(['e', 'E']).unwrap_or((written, ""));
    let (negative, unsigned) = sign(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));

    let start = out.len();
    if negative {
        out.push(b'-');
    }
    let first_digit = out.len();
    out.extend(whole.bytes().chain(fraction.bytes()).skip_while(|&digit| digit == b'0'));
    if out.len() == first_digit {
        out.truncate(start);
        out.push(b'0');
        return;
    }
    let with_zeros = out.len();
    while out.last() == Some(&b'0') {
        out.pop();
    }
    let zeros = with_zeros - out.len();
    out.push(b'e');
    let shift = 0_i64.saturating_add_unsigned(zeros as u64).saturating_sub_unsigned(fraction.len() as u64);
    write_exponent(exponent, shift, out);
}

/// Splits a sign off.
fn sign(number: &str) -> (bool, &str) {
    match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    }
}

/// Writes `exponent + shift`.
fn write_exponent(exponent: &str, shift: i64, out: &mut Vec<u8>) {
    let (negative, digits) = sign(exponent);
    let digits = digits.trim_start_matches('0');
    if digits.len() > LONG_EXPONENT {
        return write_long_exponent(negative, digits, shift, out);
    }
    // A zero has no digits left, and up to 18 digits always fit.
    let magnitude: i64 = digits.parse().unwrap_or(0);
    let sum = shift + if negative { -magnitude } else { magnitude };
    out.extend_from_slice(sum.to_string().as_bytes());
}

/// Adds digit by digit. The shift is at most the length of the text, far below 10^18, so the sign stays.
fn write_long_exponent(negative: bool, digits: &str, shift: i64, out: &mut Vec<u8>) {
    let grows = negative == (shift < 0);
    let mut carry = shift.unsigned_abs();
    let mut lowest_first: Vec<u8> = digits.bytes().rev().map(|digit| digit - b'0').collect();
    for digit in &mut lowest_first {
        if carry == 0 {
            break;
        }
        let step = (carry % 10) as u8;
        carry /= 10;
        let sum = if grows { *digit + step } else { *digit + 10 - step };
        *digit = sum % 10;
        // Going up, ten or more carries one; going down, less than ten has borrowed one.
        carry += u64::from((sum >= 10) == grows);
    }
    if carry > 0 {
        lowest_first.push(1);
    }
    while lowest_first.last() == Some(&0) {
        lowest_first.pop();
    }
    if negative {
        out.push(b'-');
    }
    out.extend(lowest_first.iter().rev().map(|digit| digit + b'0'));
}
