//go:build linux

#include "textflag.h"

// The layout of batch and of Call.
#define batch_calls 0
#define batch_n 8
#define batch_rounds 16
#define batch_stop 24
#define call_func 0
#define call_args 8
#define call_result 88
#define call_flag 96
#define call_size 104

// loop(DI *batch) is called as a function of C, on the system's stack: see Run. Six arguments of a function are in registers, the others
// on the stack.
TEXT loop<>(SB), NOSPLIT|NOFRAME, $0
	PUSHQ BP
	MOVQ  SP, BP
	PUSHQ BX
	PUSHQ R12
	PUSHQ R13
	PUSHQ R14
	SUBQ  $32, SP // room for four arguments; a multiple of 16 is on the stack now
	MOVQ  DI, R12

round:
	MOVQ batch_calls(R12), BX
	MOVQ batch_n(R12), R13

next:
	MOVQ (call_args+48)(BX), AX
	MOVQ AX, 0(SP)
	MOVQ (call_args+56)(BX), AX
	MOVQ AX, 8(SP)
	MOVQ (call_args+64)(BX), AX
	MOVQ AX, 16(SP)
	MOVQ (call_args+72)(BX), AX
	MOVQ AX, 24(SP)
	MOVQ (call_args+0)(BX), DI
	MOVQ (call_args+8)(BX), SI
	MOVQ (call_args+16)(BX), DX
	MOVQ (call_args+24)(BX), CX
	MOVQ (call_args+32)(BX), R8
	MOVQ (call_args+40)(BX), R9
	MOVQ call_func(BX), R10
	XORL AX, AX              // no arguments in vector registers, should the function take any number
	CALL R10
	MOVQ AX, call_result(BX)
	TESTL AX, AX
	JNE  done
	MOVQ call_flag(BX), R14
	TESTQ R14, R14
	JEQ  silent
	MOVL (R14), R14
	TESTL R14, R14
	JNE  done

silent:
	ADDQ $call_size, BX
	DECQ R13
	JNE  next
	MOVQ batch_stop(R12), R14
	TESTQ R14, R14
	JEQ  again
	MOVL (R14), R14
	TESTL R14, R14
	JNE  done

again:
	DECQ batch_rounds(R12)
	JNE  round

done:
	ADDQ $32, SP
	POPQ R14
	POPQ R13
	POPQ R12
	POPQ BX
	POPQ BP
	RET

DATA ·loopAddress(SB)/8, $loop<>(SB)
GLOBL ·loopAddress(SB), NOPTR|RODATA, $8
