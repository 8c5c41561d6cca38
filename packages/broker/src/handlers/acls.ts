/**
 * DescribeAcls, CreateAcls, DeleteAcls: nobody has to authenticate yet, so there are no access rules.
 * SECURITY_DISABLED is what Apache Kafka answers without an authorizer, and what tools understand.
 */
import {
  type CreateAclsRequest,
  type CreateAclsResponse,
  createAcls,
  type DeleteAclsRequest,
  type DeleteAclsResponse,
  type DescribeAclsRequest,
  type DescribeAclsResponse,
  deleteAcls,
  describeAcls,
  ERROR_CODES,
} from '@millrace/protocol'
import type { Handler } from './handler.ts'

/** An error as these answers carry it. */
type Refusal = { readonly errorCode: number; readonly errorMessage: string | null }

const DISABLED: Refusal = {
  errorCode: ERROR_CODES.SECURITY_DISABLED,
  errorMessage: 'this node has no access rules: everyone may do everything',
}

const described = (refusal: Refusal): DescribeAclsResponse => ({
  throttleTimeMs: 0,
  ...refusal,
  resources: [],
})

/** The handler of DescribeAcls. */
export const describeAclsHandler: Handler<DescribeAclsRequest, DescribeAclsResponse> = {
  api: describeAcls,
  handle: () => described(DISABLED),
  failure: (_request, { code, message }) => described({ errorCode: code, errorMessage: message }),
}

const created = (count: number, refusal: Refusal): CreateAclsResponse => ({
  throttleTimeMs: 0,
  results: Array.from({ length: count }, () => refusal),
})

/** The handler of CreateAcls. */
export const createAclsHandler: Handler<CreateAclsRequest, CreateAclsResponse> = {
  api: createAcls,
  handle: ({ creations }) => created(creations.length, DISABLED),
  failure: ({ creations }, { code, message }) =>
    created(creations.length, { errorCode: code, errorMessage: message }),
}

function deleted(count: number, refusal: Refusal): DeleteAclsResponse {
  // One object for all: a request may have a great many filters.
  const result = { ...refusal, matchingAcls: [] }
  return { throttleTimeMs: 0, filterResults: Array.from({ length: count }, () => result) }
}

/** The handler of DeleteAcls. */
export const deleteAclsHandler: Handler<DeleteAclsRequest, DeleteAclsResponse> = {
  api: deleteAcls,
  handle: ({ filters }) => deleted(filters.length, DISABLED),
  failure: ({ filters }, { code, message }) =>
    deleted(filters.length, { errorCode: code, errorMessage: message }),
}
