import { errorTable, type ErrorCode } from '../../runtime/core/errors.ts'

/** As people see it and search for it: `FTS-1002`. */
export const formatCode = (code: ErrorCode) => `FTS-${errorTable[code].number}`
