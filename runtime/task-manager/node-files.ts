// Moved to deploy/, where the JobManager finds it too; import it from there.
export { nodeFiles, storageError } from '../deploy/node-files.ts'
