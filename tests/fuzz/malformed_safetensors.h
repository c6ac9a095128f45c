/* malformed_safetensors.h - safetensors files with one defect each, and the
 * verdict expected; data is zeros.  The kinds follow the rules of the format and
 * the defects that other readers were caught with. */
#ifndef CM_TESTS_MALFORMED_SAFETENSORS_H
#define CM_TESTS_MALFORMED_SAFETENSORS_H

typedef struct malformed_case {
    const char *what;
    const char *header;
    size_t header_bytes, data_bytes;
    uint64_t length; /* written in place of the true header length; 0: the true one */
    cm_status verdict;
} malformed_case;

/* Name, dtype, shape, begin and end as they stand in the text. */
#define E(name, dtype, shape, begin, end)                                                        \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end \
    "]}"
#define A       E("a", "F32", "[4]", "0", "16") /* a good entry of 16 bytes */
#define H(text) text, sizeof(text) - 1
#define BAD     0, CM_ERR_FORMAT
#define GOOD    0, CM_OK

/* clang-format off */
static const malformed_case malformed[] = {
    /* valid */
    {"simple",                  H("{" A "}"), 16, GOOD},
    {"scalar",                  H("{" E("a", "F32", "[]", "0", "4") "}"), 4, GOOD},
    {"zero-size",               H("{" E("a", "F32", "[2,0]", "0", "0") "}"), 0, GOOD},
    {"no tensors",              H("{}"), 0, GOOD},
    {"metadata with brackets",  H("{\"__metadata__\":{\"n\":\"} {[\\\"x\"}," A "}"), 16, GOOD},
    {"empty metadata",          H("{\"__metadata__\":{}}"), 0, GOOD},
    {"padding after",           H("{" A "}     "), 16, GOOD},
    {"white space around",      H("\t\n{}\r "), 0, GOOD},
    {"unordered",               H("{" E("b", "F32", "[2]", "8", "16") "," E("a", "F32", "[2]", "0", "8") "}"), 16, GOOD},
    {"zero-size between",       H("{" E("a", "F32", "[2]", "0", "8") "," E("z", "F32", "[0]", "8", "8") "," E("b", "F32", "[2]", "8", "16") "}"), 16, GOOD},
    {"name with surrogates",    H("{" E("\\u00e9\\ud83d\\ude00", "F32", "[4]", "0", "16") "}"), 16, GOOD},
    {"name like a path",        H("{" E("../../etc/passwd", "F32", "[4]", "0", "16") "}"), 16, GOOD},
    {"name with an escape",     H("{" E("a\\n\\u001b[31m", "F32", "[4]", "0", "16") "}"), 16, GOOD},
    {"unaligned start",         H("{" E("a", "U8", "[1]", "0", "1") "," E("b", "F32", "[1]", "1", "5") "}"), 5, GOOD},
    {"whole bytes of 4 bits",   H("{" E("a", "F4", "[4]", "0", "2") "}"), 2, GOOD},
    {"rank 8",                  H("{" E("a", "U8", "[1,1,1,1,1,1,1,1]", "0", "1") "}"), 1, GOOD},
    {"rank 16",                 H("{" E("a", "U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "0", "1") "}"), 1, GOOD},
    {"metadata: null",          H("{\"__metadata__\":null," A "}"), 16, GOOD},
    /* our limit, not the format's */
    {"rank 17",                 H("{" E("a", "U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "0", "1") "}"), 1, 0, CM_ERR_FORMAT},
    /* header length */
    {"length above the file",   H("{}"), 0, 1000, CM_ERR_FORMAT},
    {"length by one",           H("{}"), 0, 3, CM_ERR_FORMAT},
    {"length 2^64-1",           H("{}"), 0, UINT64_MAX, CM_ERR_FORMAT},
    {"length wraps with 8",     H("{}"), 0, UINT64_MAX - 7, CM_ERR_FORMAT},
    {"length 2^63",             H("{}"), 0, (uint64_t)1 << 63, CM_ERR_FORMAT},
    {"length above 100 MB",     H("{}"), 0, 100000001, CM_ERR_FORMAT},
    {"length 0",                H(""), 0, BAD},
    {"length 1",                H("{}"), 0, 1, CM_ERR_FORMAT},
    {"length inside the text",  H("{" A "}"), 16, 20, CM_ERR_FORMAT},
    /* text */
    {"not UTF-8",               H("{" E("\xff", "F32", "[4]", "0", "16") "}"), 16, BAD},
    {"overlong UTF-8",          H("{" E("\xc0\xaf", "F32", "[4]", "0", "16") "}"), 16, BAD},
    {"UTF-8 of a surrogate",    H("{" E("\xed\xa0\x80", "F32", "[4]", "0", "16") "}"), 16, BAD},
    {"byte order mark",         H("\xef\xbb\xbf{}"), 0, BAD},
    {"unfinished",              H("{"), 0, 2, CM_ERR_FORMAT},
    {"a list",                  H("[]"), 0, BAD},
    {"a number",                H("12"), 0, BAD},
    {"white space only",        H("    "), 0, BAD},
    {"lone surrogate",          H("{" E("\\ud800", "F32", "[4]", "0", "16") "}"), 16, BAD},
    {"trailing comma",          H("{" A ",}"), 16, BAD},
    {"trailing text",           H("{" A "}junk"), 16, BAD},
    {"second object",           H("{" A "}{}"), 16, BAD},
    {"control character",       H("{" E("a\x01", "F32", "[4]", "0", "16") "}"), 16, BAD},
    {"zero bytes after",        H("{" A "}\0\0\0"), 16, BAD},
    {"zero byte in a name",     H("{\"a\0b\":{}}"), 0, BAD},
    {"escape at the end",       H("{\"a\\"), 0, BAD},
    {"comment",                 H("{/*x*/" A "}"), 16, BAD},
    {"single quotes",           H("{'a':1}"), 0, BAD},
    {"leading zero",            H("{" E("a", "F32", "[04]", "0", "16") "}"), 16, BAD},
    {"plus sign",               H("{" E("a", "F32", "[+4]", "0", "16") "}"), 16, BAD},
    {"NaN",                     H("{" E("a", "F32", "[NaN]", "0", "16") "}"), 16, BAD},
    {"nested nine deep",        H("{\"a\":[[[[[[[[1]]]]]]]]}"), 0, BAD},
    /* names */
    {"name with \\u0000",       H("{" E("a\\u0000b", "F32", "[2]", "0", "8") "," E("a", "F32", "[2]", "8", "16") "}"), 16, BAD},
    {"empty name",              H("{" E("", "F32", "[4]", "0", "16") "}"), 16, BAD},
    {"same name twice",         H("{" A "," A "}"), 16, BAD},
    {"same name, other dtype",  H("{" A "," E("a", "I32", "[4]", "0", "16") "}"), 16, BAD},
    {"same name when unescaped", H("{" A "," E("\\u0061", "I32", "[4]", "0", "16") "}"), 16, BAD},
    {"same name, tiling",       H("{" E("a", "F32", "[2]", "0", "8") "," E("a", "F32", "[2]", "8", "16") "}"), 16, BAD},
    /* fields */
    {"tensor is a number",      H("{\"a\":5}"), 0, BAD},
    {"tensor is a list",        H("{\"a\":[]}"), 0, BAD},
    {"tensor is null",          H("{\"a\":null}"), 0, BAD},
    {"empty entry",             H("{\"a\":{}}"), 0, BAD},
    {"field twice",             H("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"I32\",\"shape\":[4],\"data_offsets\":[0,16]}}"), 16, BAD},
    {"unknown field",           H("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16],\"x\":[[{}]]}}"), 16, BAD},
    {"dtype missing",           H("{\"a\":{\"shape\":[4],\"data_offsets\":[0,16]}}"), 16, BAD},
    {"shape missing",           H("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,16]}}"), 16, BAD},
    {"data_offsets missing",    H("{\"a\":{\"dtype\":\"F32\",\"shape\":[4]}}"), 16, BAD},
    {"dtype unknown",           H("{" E("a", "Q7", "[4]", "0", "16") "}"), 16, BAD},
    {"dtype in lower case",     H("{" E("a", "f32", "[4]", "0", "16") "}"), 16, BAD},
    {"dtype is a number",       H("{\"a\":{\"dtype\":1,\"shape\":[4],\"data_offsets\":[0,16]}}"), 16, BAD},
    {"shape is negative",       H("{" E("a", "F32", "[-2,-2]", "0", "16") "}"), 16, BAD},
    {"shape is real",           H("{" E("a", "F32", "[4.0]", "0", "16") "}"), 16, BAD},
    {"shape is text",           H("{" E("a", "F32", "[\"4\"]", "0", "16") "}"), 16, BAD},
    {"shape is no list",        H("{" E("a", "F32", "4", "0", "16") "}"), 16, BAD},
    {"shape above 2^63",        H("{" E("a", "I32", "[2,18446744073709551614]", "0", "16") "}"), 16, BAD},
    {"shape above 2^48",        H("{" E("a", "U8", "[0,281474976710656]", "0", "0") "}"), 0, BAD},
    {"offsets: three",          H("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,8,16]}}"), 16, BAD},
    {"offsets: one",            H("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16]}}"), 16, BAD},
    {"offsets: text",           H("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[\"0\",\"16\"]}}"), 16, BAD},
    {"offsets: real",           H("{" E("a", "F32", "[4]", "0.0", "16.0") "}"), 16, BAD},
    {"offsets: object",         H("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":{}}}"), 16, BAD},
    {"offsets: negative",       H("{" E("a", "F32", "[4]", "-16", "0") "}"), 16, BAD},
    {"offsets: end first",      H("{" E("a", "F32", "[4]", "16", "0") "}"), 16, BAD},
    /* sizes */
    {"shape above the offsets", H("{" E("a", "F32", "[1000,1000]", "0", "16") "}"), 16, BAD},
    {"shape below the offsets", H("{" E("a", "F32", "[3]", "0", "16") "}"), 16, BAD},
    {"product wraps to 0",      H("{" E("a", "F32", "[4294967296,4294967296]", "0", "0") "}"), 0, BAD},
    {"bytes wrap to 16",        H("{" E("a", "F32", "[4611686018427387908]", "0", "16") "}"), 16, BAD},
    {"bits wrap to 128",        H("{" E("a", "F64", "[144115188075855874,2]", "0", "16") "}"), 16, BAD},
    {"0 hides an overflow",     H("{" E("a", "F32", "[281474976710655,281474976710655,0]", "0", "0") "}"), 0, BAD},
    {"0 first, then an overflow", H("{" E("a", "F32", "[0,281474976710655,281474976710655]", "0", "0") "}"), 0, BAD},
    {"half a byte of 4 bits",   H("{" E("a", "F4", "[3]", "0", "1") "}"), 1, BAD},
    /* tiling */
    {"bytes after the data",    H("{" A "}"), 17, BAD},
    {"bytes without tensors",   H("{}"), 4, BAD},
    {"data cut short",          H("{" A "}"), 14, BAD},
    {"two on the same bytes",   H("{" A "," E("b", "F32", "[4]", "0", "16") "}"), 16, BAD},
    {"overlap",                 H("{" A "," E("b", "F32", "[1]", "12", "16") "}"), 16, BAD},
    {"hole",                    H("{" E("a", "F32", "[1]", "0", "4") "," E("b", "F32", "[1]", "8", "12") "}"), 12, BAD},
    {"hole at the start",       H("{" E("a", "F32", "[3]", "4", "16") "}"), 16, BAD},
    {"far outside",             H("{" E("a", "F32", "[4]", "1099511627776", "1099511627792") "}"), 16, BAD},
    {"end far outside",         H("{" E("a", "U8", "[281474976710655]", "0", "281474976710655") "}"), 16, BAD},
    {"zero-size outside",       H("{" A "," E("z", "F32", "[0]", "20", "20") "}"), 16, BAD},
    /* metadata */
    {"metadata: number",        H("{\"__metadata__\":{\"n\":1}," A "}"), 16, BAD},
    {"metadata: nested",        H("{\"__metadata__\":{\"n\":{}}," A "}"), 16, BAD},
    {"metadata: twice",         H("{\"__metadata__\":{\"n\":\"1\"},\"__metadata__\":{\"n\":\"2\"}}"), 0, BAD},
    {"metadata: key twice",     H("{\"__metadata__\":{\"n\":\"1\",\"n\":\"2\"}}"), 0, BAD},
    {"metadata: list",          H("{\"__metadata__\":[]}"), 0, BAD},
};
/* clang-format on */

#undef A
#undef E
#undef H
#undef BAD
#undef GOOD

#endif
